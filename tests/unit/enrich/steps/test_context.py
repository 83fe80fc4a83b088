from enrich.steps.context import copy_context


def test_context(make):
    """The context goes through byte by byte."""
    raw = b'{"data":{"new_state":{"state":"1"}},"context":{"id" : "c", "user_id":null}}'
    enriched = make.run(copy_context, on=make.event(raw))
    assert bytes(enriched.context) == b'{"id" : "c", "user_id":null}'


def test_no_context(make):
    """Where there is no context the enriched event has none."""
    before = make.run(on=make.event({"data": {"new_state": {"state": "1"}}}))
    after = make.run(copy_context, on=make.event({"data": {"new_state": {"state": "1"}}}))
    assert after.context is before.context

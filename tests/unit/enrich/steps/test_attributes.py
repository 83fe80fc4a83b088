from enrich.steps.attributes import copy_attributes


def test_attributes(make):
    """The new state's attributes go through byte by byte."""
    raw = '{"data":{"new_state":{"state":"1","attributes":{"a" : 1e2, "ü":[1.50,{}],"a":2} }}}'
    enriched = make.run(copy_attributes, on=make.event(raw.encode()))
    assert bytes(enriched.attributes) == '{"a" : 1e2, "ü":[1.50,{}],"a":2}'.encode()


def test_removal(make):
    """A removal has no attributes, whatever the old state had."""
    event = make.change(None, make.state("1", {"a": 1}))
    assert bytes(make.run(copy_attributes, on=event).attributes) == b"{}"


def test_other_type(make):
    """Of another event type it is the data."""
    event = make.event(b'{"data":{"service": "turn_on"}}', "call_service", "")
    assert bytes(make.run(copy_attributes, on=event).attributes) == b'{"service": "turn_on"}'

"""The bytes of the frames."""

import json

from hypothesis import given
from hypothesis import strategies as st

from common.event import microseconds, normal_time
from ingest.simulator import frames

TIMES = st.integers(0, 4_000_000_000_000_000)


@given(TIMES)
def test_times_are_written_as_python_does(us: int):
    """A time reads back as itself, and has no fraction at a whole second."""
    text = frames.iso(us).decode()
    assert microseconds(normal_time(text)) == us
    assert ("." in text) == (us % 1_000_000 != 0)


@given(TIMES, st.integers(0, 10**12))
def test_context_ids_are_ulids(us: int, n: int):
    """26 characters of Crockford's alphabet that grow with time."""
    ulid = frames.ulid(us, n).decode()
    assert len(ulid) == 26
    assert set(ulid) <= set(frames.CROCKFORD)
    assert frames.ulid_head(us) < frames.ulid_head(us + 1_000)


def test_a_state_keeps_percent_signs():
    """A template survives what looks like a placeholder."""
    template = frames.state_template("sensor.a%d", last_reported=True)
    head = frames.attributes_head({"unit": "%"}, "r%s")
    state = json.loads(template % (b'"1"', head, 7, b"t1", b"t2", b"t3", b"c"))
    assert state["entity_id"] == "sensor.a%d"
    assert state["attributes"] == {"unit": "%", "run": "r%s", "n": 7}
    assert list(state)[3:6] == ["last_changed", "last_reported", "last_updated"]
    older = frames.state_template("sensor.a", last_reported=False)
    assert "last_reported" not in json.loads(older % (b'"1"', head, 7, b"t1", b"t2", b"c"))


def test_attributes_may_be_empty():
    """Without attributes only run and n stand there."""
    assert frames.attributes_head({}, "r") + b"1}" == b'{"run":"r","n":1}'


def test_event_messages_end_with_the_id():
    """Alone and coalesced, each message carries the id of its subscription last."""
    unended = [frames.event("call_service", {"at": at}, 1_795_189_957_000_001, at) for at in (1, 2)]
    assert frames.finished(unended[0], 18).endswith(b',"id":18}')
    listed = json.loads(b"[" + frames.coalesced(unended, 18) + b"]")
    assert [(each["id"], each["event"]["data"]["at"]) for each in listed] == [(18, 1), (18, 2)]
    assert listed[0]["event"]["time_fired"] == "2026-11-20T15:52:37.000001+00:00"


def test_failures_have_a_code_and_a_message():
    """A failure is a result without success."""
    assert json.loads(frames.failure(None, "c", "m")) == {
        "id": None,
        "type": "result",
        "success": False,
        "error": {"code": "c", "message": "m"},
    }

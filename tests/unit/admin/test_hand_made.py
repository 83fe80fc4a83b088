"""Events that a person hands in."""

import json

import pytest

from admin.hand_made import event_of, json_of
from common.errors import MalformedEvent
from common.event import API, event_id

FIRED = "2026-11-20T15:44:33Z"
NORMAL = "2026-11-20T15:44:33.000000+00:00"


def made(event_type="state_changed", **data):
    return event_of(event_type, data, FIRED, origin="REMOTE", home="cabin", context_id="c")


def test_other_types_need_no_entity():
    """An event of another type is dated by when it was fired."""
    event = made("my_event", a=1)
    assert (event.entity_id, event.time, event.source) == ("", NORMAL, API)
    assert event.id == event_id("cabin", "my_event", "", NORMAL)
    assert json.loads(event.data) == {
        "event_type": "my_event",
        "data": {"a": 1},
        "origin": "REMOTE",
        "time_fired": NORMAL,
        "context": {"id": "c", "parent_id": None, "user_id": None},
    }


def test_a_list_of_entities_is_none():
    """Other event types may name several entities: then the event has none of its own."""
    assert made("call_service", entity_id=["light.a", "light.b"]).entity_id == ""
    assert made("call_service", entity_id="light.a").entity_id == "light.a"


def test_a_state_change_is_dated_by_its_state():
    """`last_updated` where there is one, else when it was fired; a removal too."""
    updated = "2026-11-20T15:44:30.5+01:00"
    change = made(entity_id="a.b", new_state={"state": "1", "last_updated": updated})
    assert change.time == "2026-11-20T14:44:30.500000+00:00"
    assert made(entity_id="a.b", new_state={"state": "1"}).time == NORMAL
    assert made(entity_id="a.b", new_state=None).time == NORMAL


@pytest.mark.parametrize(
    ("data", "part"),
    [
        ({}, "data.entity_id"),
        ({"entity_id": ""}, "data.entity_id"),
        ({"entity_id": 5}, "data.entity_id"),
        ({"entity_id": "a.b", "new_state": "on"}, "data.new_state:"),
        ({"entity_id": "a.b", "new_state": {"state": None}}, "data.new_state.state"),
        ({"entity_id": "a.b", "new_state": {"state": "1", "last_updated": 5}}, "last_updated"),
        ({"entity_id": "a.b", "new_state": {"state": "1", "last_updated": "x"}}, "last_updated"),
        (
            {
                "entity_id": "a.b",
                "new_state": {"state": "1", "last_changed": "2026-11-20T16:00:00"},
            },
            r"data.new_state.last_changed: .* zone",
        ),
        (
            {
                "entity_id": "a.b",
                "new_state": {"state": "1"},
                "old_state": {"state": "0", "last_changed": "2026-11-20T16:00:00"},
            },
            r"data.old_state.last_changed: .* zone",
        ),
    ],
)
def test_the_message_names_the_part(data, part):
    """What is no state change is refused by the part that is wrong."""
    with pytest.raises(MalformedEvent, match=part):
        made(**data)


def test_names_that_home_assistant_could_not_have_are_refused():
    """What is longer than its recorder takes is a mistake, by REST and on the command line."""
    long = "a." + "b" * 254
    with pytest.raises(MalformedEvent, match=r"data.entity_id: is longer than 255"):
        made(entity_id=long, new_state={"state": "1"})
    assert made(entity_id=long[:-1], new_state={"state": "1"}).entity_id == long[:-1]


def test_json_that_others_could_not_read_is_refused():
    """NaN, half a character, and too much depth are no JSON that travels."""
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    for value in (float("nan"), "\ud800", deep):
        with pytest.raises(MalformedEvent):
            json_of(value)
    assert json_of({"ä": 1.5}) == '{"ä":1.5}'.encode()

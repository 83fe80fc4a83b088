"""What a browser is told of an entry, whatever stands there."""

import json

from admin.passage import (
    DEEPEST,
    LARGEST_DATA,
    START,
    as_json,
    entry_id_of,
    passage_of,
)
from common.bus.entry import position_of
from common.bus.stream import Entry


def told(stream="enriched", **fields):
    return json.loads(passage_of(stream, Entry("17-1", fields)).json)


def test_an_entry_is_told_in_one_line():
    """All its fields come, the data as JSON, and no line break that would end the event."""
    passage = passage_of(
        "raw",
        Entry(
            "17-1",
            {"id": "a", "entity_id": "b\n\r", "data": '{"c":\n"d\\n\\u2028"}', "replays": "2"},
        ),
    )
    assert b"\n" not in passage.json
    assert b"\r" not in passage.json
    assert passage.position == (17, 1)
    assert passage.entity_id == "b\n\r"
    said = json.loads(passage.json)
    assert said["data"] == {"c": "d\n\u2028"}
    assert said["replays"] == 2
    assert said["stream"] == "raw"
    assert "dead" not in said


def test_whatever_stands_there_is_told():
    """Missing fields are empty, data that is no JSON is a text, and odd numbers count as none."""
    said = told(replays="many", data="{broken")
    assert said["data"] == "{broken"
    assert said["id"] == ""
    assert "replays" not in said


def test_large_data_is_left_out():
    """An entry larger than a page should hold says so instead."""
    assert told(data='"' + "x" * LARGEST_DATA + '"') == {
        **told(data="null"),
        "data": None,
        "cut": True,
    }


def test_a_dead_letter_has_its_cause():
    """Of a dead letter the cause is told too, shortened when it is endless."""
    said = told("dead", dead_stage="store", dead_reason="too_large", dead_error="x" * 10**6)
    assert said["dead"]["reason"] == "too_large"
    assert said["dead"]["stage"] == "store"
    assert len(said["dead"]["error"]) == LARGEST_DATA


def test_json_that_is_too_deep_stays_text():
    """What browsers and pydantic could not take is handed on as it stands."""
    deep = "[" * (DEEPEST + 1) + "]" * (DEEPEST + 1)
    assert as_json(deep) == deep
    assert as_json(deep[1:-1]) == json.loads(deep[1:-1])
    assert as_json('{"a":{"b":1}}') == {"a": {"b": 1}}


def test_entry_ids_are_numbers():
    """Positions are compared as numbers, not as texts."""
    assert START < position_of("9-10") < position_of("10-2") < position_of("10-10")
    assert entry_id_of(position_of("10-2")) == "10-2"

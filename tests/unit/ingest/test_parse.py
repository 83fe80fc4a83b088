import json
from collections import Counter

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import MalformedEvent
from common.event import event_id
from ingest.parse import (
    HistoryRow,
    _header_decoder,
    _header_of,
    is_removal,
    meaning_of,
    of_history_row,
    of_state,
    parse,
    parsed,
    split_history,
    split_states,
)
from tests.fakes import recordings

UPDATED = "2026-11-20T15:44:33.435789+00:00"
FIRED = "2026-11-20T15:44:33.500000+00:00"
SENSOR = "sensor.outdoor"


def change(new_state, **more):
    data = {"entity_id": SENSOR, "old_state": None, "new_state": new_state}
    event = {"event_type": "state_changed", "data": data, "time_fired": FIRED, **more}
    return json.dumps(event, ensure_ascii=False).encode()


def state(**more):
    return {"entity_id": SENSOR, "state": "21.4", "attributes": {}, "last_updated": UPDATED, **more}


def test_a_state_change_is_dated_by_its_new_state():
    """The time is new_state.last_updated, and the data is what was sent, byte by byte."""
    raw = change(state(attributes={"unit_of_measurement": "°C", "n": 1e5}))
    event = parse(raw, "home")
    assert event.id == event_id("home", "state_changed", SENSOR, UPDATED)
    assert (event.type, event.entity_id, event.time) == ("state_changed", SENSOR, UPDATED)
    assert (event.source, event.home, event.replays) == ("live", "home", 0)
    assert event.data is raw
    assert parse(raw, "cabin", "demo").source == "demo"
    assert parse(raw, "cabin").id != event.id


def test_a_removal_is_dated_by_when_it_was_fired():
    """Where new_state is null only time_fired knows the time."""
    assert parse(change(None), "home").time == FIRED


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (change(None), True),
        (change(state()), False),
        (change("on"), False),
        (change(None, event_type="entity_registry_updated"), False),
        (change(None, data=None, event_type="call_service"), False),
    ],
)
def test_a_removal_is_told_from_a_change(raw, expected):
    """Only a state change without a new state removes an entity, when it comes and later."""
    event, is_told = parsed(raw, "home")
    assert (is_told, is_removal(event)) == (expected, expected)
    assert not is_removal(msgspec.structs.replace(event, data=b"rubbish"))


@pytest.mark.parametrize("updated", [None, "", 5, {}, "yesterday", "2026-11-20T15:44:33"])
def test_a_new_state_without_a_usable_time_is_dated_by_when_it_was_fired(updated):
    """An absent, unreadable or zoneless last_updated falls back to time_fired."""
    assert parse(change(state(last_updated=updated)), "home").time == FIRED
    without = state()
    del without["last_updated"]
    assert parse(change(without), "home").time == FIRED


@pytest.mark.parametrize("new_state", ["on", 5, [], True])
def test_a_new_state_that_is_no_object_is_dated_by_when_it_was_fired(new_state):
    """An odd new_state is an event all the same."""
    assert parse(change(new_state), "home").time == FIRED


def test_times_are_brought_to_one_form():
    """A fraction of zero is written out and another zone is turned to UTC."""
    event = parse(change(state(last_updated="2026-11-20T16:44:33+01:00")), "home")
    assert event.time == "2026-11-20T15:44:33.000000+00:00"


@pytest.mark.parametrize(
    ("data", "entity_id"),
    [
        ({"entity_id": "light.desk", "new_state": {"last_updated": UPDATED}}, "light.desk"),
        ({"entity_id": ["light.desk"]}, ""),
        ({"entity_id": None}, ""),
        ({"domain": "light", "service_data": {"entity_id": "light.desk"}}, ""),
        ({}, ""),
        (None, ""),
        ([1], ""),
        ("text", ""),
    ],
)
def test_other_types_are_dated_by_when_they_were_fired(data, entity_id):
    """Their entity is data.entity_id where that is a text, else empty."""
    raw = json.dumps({"event_type": "x", "data": data, "time_fired": FIRED}).encode()
    event = parse(raw, "home")
    assert (event.type, event.entity_id, event.time) == ("x", entity_id, FIRED)
    assert event.data == raw


def test_an_event_without_data_is_an_event():
    """Only the type and a time are needed of other event types."""
    raw = json.dumps({"event_type": "homeassistant_started", "time_fired": FIRED}).encode()
    assert parse(raw, "home").entity_id == ""


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"", "truncated"),
        (b"{", "truncated"),
        (b"\xff", "utf-8"),
        (b'{"event_type":"x","time_fired":"\xff"}', "utf-8"),
        (b'{"event_type":"x","data":' + b"[" * 100_000, "recursion"),
        (b"null", "Expected `object`"),
        (b"[]", "Expected `object`"),
        (b"{}", "no event type"),
        (b'{"event_type":5,"time_fired":"2026-11-20T15:44:33Z"}', "no event type"),
        (b'{"event_type":"","time_fired":"2026-11-20T15:44:33Z"}', "no event type"),
        (b'{"event_type":"x"}', "no time"),
        (b'{"event_type":"x","time_fired":5}', "no time"),
        (b'{"event_type":"x","time_fired":"soon"}', "no time"),
        (b'{"event_type":"state_changed","time_fired":"2026-11-20T15:44:33Z"}', "no entity"),
        (b'{"event_type":"state_changed","data":{"entity_id":5}}', "no entity"),
    ],
)
def test_what_cannot_be_an_event_is_malformed(raw, why):
    """The message says why, and the detail holds what came."""
    with pytest.raises(MalformedEvent, match=why) as caught:
        parse(raw, "home")
    assert isinstance(caught.value.detail["json"], str)


def test_a_malformed_event_does_not_carry_its_secrets_into_a_dead_letter():
    """The detail is cleaned as an event would be."""
    with pytest.raises(MalformedEvent) as caught:
        parse(b'{"event_type":"x","data":{"access_token":"abc","n":1}}', "home")
    assert caught.value.detail == {"json": '{"event_type":"x","data":{"n":1}}'}
    broken = b'{"event_type":"x","time_fired":"2026-11-20T15:44:33Z","access_token":"\xffabc"}'
    with pytest.raises(MalformedEvent) as caught:
        parse(broken, "home")
    assert "abc" not in str(caught.value.detail)


def test_secrets_are_gone_before_an_event_exists():
    """The data of an event has neither the attribute access_token nor the picture's token."""
    picture = "/api/camera_proxy/camera.x?token=abc123&time=5"
    attributes = {"access_token": "abc123", "entity_picture": picture, "n": 1}
    data = json.loads(parse(change(state(attributes=attributes)), "home").data)
    assert data["data"]["new_state"]["attributes"] == {
        "entity_picture": "/api/camera_proxy/camera.x?token=&time=5",
        "n": 1,
    }


json_values = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=5) | st.just(FIRED),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)


@given(json_values, json_values, json_values, json_values)
def test_no_shape_raises_anything_but_malformed_event(event_type, entity_id, new_state, time):
    """Whatever stands where, it is an event or it is malformed."""
    data = {"entity_id": entity_id, "new_state": new_state}
    raw = json.dumps({"event_type": event_type, "data": data, "time_fired": time}).encode()
    try:
        event = parse(raw, "home")
    except MalformedEvent:
        return
    assert json.loads(event.data)["event_type"] == event.type


@pytest.mark.parametrize("version", recordings.VERSIONS)
def test_every_event_of_a_real_home_is_parsed(version):
    """Each recorded event has its own id, its own time, and data that lost only secrets."""
    ids = set()
    for raw in recordings.event_texts(version):
        event, sent = parse(raw, "home"), json.loads(raw)
        assert (event.type, event.time) == (sent["event_type"], sent["time_fired"])
        assert raw == event.data or b"oken" in raw or b'"code"' in raw
        assert b"0000000000" not in event.data  # the recordings' tokens are zeros
        if event.type == "state_changed":
            assert event.entity_id == sent["data"]["entity_id"]
            assert event.id not in ids
            ids.add(event.id)
    assert len(ids) > 20


def test_plain_and_coalesced_capture_of_one_home_give_the_same_events():
    """How the frames were cut leaves no trace in an event."""
    plain = {parse(r, "h").id for r in recordings.event_texts("2024.3.3", "b_events_plain")}
    coalesced = {parse(r, "h").id for r in recordings.event_texts("2024.3.3", "c_events_coalesce")}
    assert len(coalesced - plain) < 0.02 * len(coalesced)  # each began and ended by itself


def test_the_second_look_sees_what_the_first_sees():
    """An event read value by value has the same header as one that is read at once."""
    texts = list(recordings.event_texts("2026.2.3", "e_errors"))
    assert texts
    for raw in texts:
        odd = json.loads(raw)
        odd["data"]["new_state"] = (odd["data"].get("new_state") or {}) | {"last_updated": 5}
        first, second = _header_decoder.decode(raw), _header_of(json.dumps(odd).encode())
        assert second.event_type == first.event_type
        assert second.time_fired == first.time_fired
        assert second.data.entity_id == first.data.entity_id


def test_a_state_becomes_the_event_that_made_it():
    """A snapshot's event has the live event's id, an old_state of null and the state as it is."""
    raw = json.dumps(
        state(context={"id": "A"}, attributes={"access_token": "x", "n": 1.0})
    ).encode()
    event = of_state(raw, "home")
    assert event.id == parse(change(state()), "home").id
    assert event.source == "snapshot"
    data = json.loads(event.data)
    assert data == {
        "event_type": "state_changed",
        "data": {
            "entity_id": SENSOR,
            "old_state": None,
            "new_state": state(context={"id": "A"}, attributes={"n": 1.0}),
        },
        "origin": "LOCAL",
        "time_fired": UPDATED,
        "context": {"id": "A"},
    }


@pytest.mark.parametrize(
    "raw", [b"", b"5", b"{}", b'{"entity_id":"a.b"}', b'{"last_updated":"2026-11-20T15:44:33Z"}']
)
def test_what_is_no_state_is_malformed(raw):
    """A state without entity or time cannot be an event."""
    with pytest.raises(MalformedEvent):
        of_state(raw, "home")


@pytest.mark.parametrize("version", recordings.VERSIONS)
def test_the_states_of_a_real_home_become_events(version):
    """Each state of a recorded get_states is an event at its last_updated."""
    [result] = [
        frame["text"]
        for frame in recordings.frames(version, "a_auth_states_registries")
        if frame["dir"] == "recv"
        and '"last_updated"' in frame["text"][:2000]
        and '"result":[' in frame["text"][:100]
    ][:1]
    sent = json.loads(result)["result"]
    states = split_states(msgspec.json.encode(sent))
    events = [of_state(raw, "home") for raw in states]
    assert [(e.entity_id, e.time) for e in events] == [
        (s["entity_id"], s["last_updated"]) for s in sent
    ]
    assert len(events) > 100


@pytest.mark.parametrize("result", [b"", b"{}", b"null"])
def test_a_result_that_is_no_list_of_states_is_malformed(result):
    """get_states answers a list, and nothing else is taken for one."""
    with pytest.raises(MalformedEvent):
        split_states(result)


@pytest.mark.parametrize("result", [b"", b"[]", b'{"a.b":{}}', b'{"a.b":[{"s":5}]}'])
def test_a_result_that_is_no_history_is_malformed(result):
    """History is rows by entity, and nothing else is taken for it."""
    with pytest.raises(MalformedEvent):
        split_history(result)


def histories(version):
    for frame in recordings.frames(version, "d_history"):
        if frame["dir"] == "recv" and '"s":' in frame["text"]:
            result = json.loads(frame["text"]).get("result")
            if isinstance(result, dict):
                yield split_history(msgspec.json.encode(result))


def times_that_home_assistant_wrote(version):
    """(entity, time) of every event, and of every row of history over REST, as they were sent."""
    for event in recordings.events(version):
        yield event["data"].get("entity_id"), event["time_fired"]
    for frame in recordings.frames(version, "d_history"):
        if frame["dir"] == "http" and frame["status"] == 200 and "history" in frame["path"]:
            for rows in json.loads(frame["text"]):
                for row in rows:
                    yield rows[0]["entity_id"], row.get("last_updated", row["last_changed"])


@pytest.mark.parametrize("version", recordings.VERSIONS)
def test_history_has_the_ids_of_the_live_events(version):
    """A row's float seconds give Home Assistant's own microsecond, so that backfill dedupes."""
    written = {}
    for entity_id, time in times_that_home_assistant_wrote(version):
        written.setdefault(entity_id, set()).add(time)
    found = Counter()
    for history in histories(version):
        for entity_id, rows in history.items():
            for row in rows:
                event = of_history_row(entity_id, row, None, "home")
                assert event.source == "backfill"
                assert event.id == event_id("home", "state_changed", entity_id, event.time)
                found[event.time in written.get(entity_id, ())] += 1
    assert found[True] > 600
    assert found[False] < 30  # of states whose time was not recorded otherwise


def test_a_time_is_rounded_as_home_assistant_rounds_it():
    """Seconds are never multiplied as a whole: that would be off by one here."""
    lu = 1795191979.2788346
    assert round(lu * 1e6) % 1_000_000 == 278834
    assert HistoryRow("1", lu=lu).time == "2026-11-20T16:26:19.278835+00:00"


def test_a_row_of_history_is_a_state_change():
    """Attributes stay as they are, last_changed is lc or lu, old_state is the row before."""
    rows = split_history(
        b'{"a.b":[{"s":"1","a":{"n": 1e5},"lu":1000000000.5},'
        b'{"s":"1","a":{},"lu":1000000001,"lc":1000000000.5},{"s":"2","lc":1000000002}]}'
    )["a.b"]
    first, second, third = (
        of_history_row("a.b", row, previous, "home")
        for row, previous in zip(rows, [None, *rows], strict=False)
    )
    assert b'"attributes":{"n": 1e5}' in first.data
    assert json.loads(first.data)["data"] == {
        "entity_id": "a.b",
        "old_state": None,
        "new_state": {
            "entity_id": "a.b",
            "state": "1",
            "attributes": {"n": 1e5},
            "last_changed": "2001-09-09T01:46:40.500000+00:00",
            "last_updated": "2001-09-09T01:46:40.500000+00:00",
            "context": None,
        },
    }
    change = json.loads(second.data)["data"]
    assert change["old_state"] == json.loads(first.data)["data"]["new_state"]
    assert change["new_state"]["last_changed"] == "2001-09-09T01:46:40.500000+00:00"
    assert change["new_state"]["last_updated"] == second.time == "2001-09-09T01:46:41.000000+00:00"
    assert json.loads(third.data)["data"]["new_state"]["last_updated"] == third.time
    assert third.time == "2001-09-09T01:46:42.000000+00:00"


def test_a_removal_in_history_is_a_removal():
    """null is a removal, and so is an empty text without attributes; no old state follows it."""
    rows = split_history(
        b'{"a.b":[{"s":null,"a":{},"lu":1},{"s":"","a":{},"lu":2},{"s":"","a":{"n":1},"lu":3}]}'
    )["a.b"]
    assert [row.is_removal for row in rows] == [True, True, False]
    removal = of_history_row("a.b", rows[0], rows[2], "home")
    assert removal.time == "1970-01-01T00:00:01.000000+00:00"
    assert json.loads(removal.data)["data"]["new_state"] is None
    assert json.loads(removal.data)["data"]["old_state"]["state"] == ""
    after = of_history_row("a.b", rows[2], rows[0], "home")
    assert json.loads(after.data)["data"]["old_state"] is None
    assert json.loads(after.data)["data"]["new_state"]["state"] == ""


MEANING = b'{"friendly_name":"Plan","unit_of_measurement":"min"}'


def test_the_meaning_of_a_state_is_what_makes_up_its_series():
    """Name, classes and unit, byte by byte; nothing of the rest, which may be large."""
    state = b'{"attributes":{"friendly_name":"Plan","n":[1],"device_class":1e5,"state_class":null}}'
    assert meaning_of(state) == b'{"friendly_name":"Plan","device_class":1e5,"state_class":null}'


@pytest.mark.parametrize("state", [b"{}", b"[]", b'{"attributes":[]}', b"\xff", b"[" * 2000])
def test_what_is_no_state_means_nothing(state):
    """A row of history then stays as it came."""
    assert meaning_of(state) == b"{}"


def test_a_row_without_attributes_gets_the_meaning_of_its_entity():
    """Home Assistant records no attributes at all where they are too large together."""
    row = HistoryRow("11:42", lu=2.0, lc=1.0).with_meaning(MEANING)
    assert (row.s, row.lu, row.lc, bytes(row.a)) == ("11:42", 2.0, 1.0, MEANING)


@given(
    st.none() | st.text(),
    st.dictionaries(st.text(), st.integers() | st.text()),
    st.none() | st.floats(),
)
def test_a_row_with_attributes_is_not_touched(text, attributes, changed):
    """What was recorded is what was: the present says nothing about it. Nor about a removal."""
    row = HistoryRow(text, msgspec.Raw(msgspec.json.encode(attributes)), lu=1.0, lc=changed)
    is_touched = row.with_meaning(MEANING) is not row
    assert is_touched == (not attributes and not row.is_removal)


@pytest.mark.parametrize("lu", [None, 1e300, 1e15, -1e12])
def test_a_row_without_a_time_is_malformed(lu):
    """What cannot be dated cannot be stored."""
    with pytest.raises(MalformedEvent, match="time"):
        of_history_row("a.b", HistoryRow("1", lu=lu), None, "home")

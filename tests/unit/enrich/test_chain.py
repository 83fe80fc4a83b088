import itertools
from math import isfinite

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import MalformedEvent, PoisonError, StepFailed
from common.event import Event
from common.registry import EMPTY, Area, Entity, Registry
from enrich import chain
from tests.fakes.recordings import event_texts

NOW = "2026-11-20T15:44:34.000000+00:00"
HOME = Registry(
    areas=(Area("kitchen", "Kitchen"),),
    entities=(Entity("sensor.kitchen_temperature", area_id="kitchen", platform="zha"),),
)


def enrich(event: Event, registry: Registry = EMPTY) -> Event:
    ticks = itertools.count(100_000_000_000, 250_000_900)
    return chain.enrich(event, registry, NOW, "1.2.3", lambda: next(ticks))


def said(event: Event, registry: Registry = EMPTY) -> dict:
    return msgspec.json.decode(enrich(event, registry).data)


def test_whole_event(make):
    """A state change comes out with all that the contract names, and what is unknown is absent."""
    attributes = {"unit_of_measurement": "°C", "friendly_name": "Kitchen", "device_class": "x"}
    assert said(make.change(make.state("21.4", attributes), "21.2"), HOME) == {
        "domain": "sensor",
        "object_id": "kitchen_temperature",
        "state": "21.4",
        "value": 21.4,
        "available": True,
        "unit": "°C",
        "device_class": "x",
        "friendly_name": "Kitchen",
        "area": "Kitchen",
        "area_id": "kitchen",
        "integration": "zha",
        "previous_state": "21.2",
        "previous_duration_s": 61.4,
        "context": {"id": "of the state", "parent_id": None, "user_id": None},
        "attributes": attributes,
        "quality": [],
        "processing": {
            "steps": [
                "domain", "availability", "value", "unit", "classes", "friendly_name",
                "registry", "previous", "context", "attributes", "quality",
            ],
            "version": "1.2.3",
            "processed_at": NOW,
            "ms": 250.0,
        },
    }  # fmt: skip


def test_removal(make):
    """A removal comes out as unavailable and marked, with the state before and no state."""
    whole = said(make.change(None, "21.2"))
    assert "state" not in whole
    assert "value" not in whole
    assert whole["available"] is False
    assert whole["quality"] == ["removed"]
    assert whole["attributes"] == {}
    assert whole["previous_state"] == "21.2"


def test_other_type(make):
    """Another event type comes out with its data as attributes, and without a domain."""
    whole = said(make.event({"data": {"k": "v"}}, "rest_event", ""))
    del whole["processing"]
    assert whole == {"available": True, "attributes": {"k": "v"}, "quality": []}


def test_only_data_changes(make):
    """All but the data of an event stays as it was."""
    event = msgspec.structs.replace(make.change("1"), source="backfill", home="hut", replays=3)
    after = enrich(event)
    assert after.data != event.data
    assert msgspec.structs.replace(after, data=event.data) == event


def test_malformed(make):
    """What cannot be read is malformed, not a failed step."""
    with pytest.raises(MalformedEvent):
        enrich(make.event(b"no JSON"))


def test_unforeseen_exception(make, monkeypatch):
    """What a step throws names the step and keeps its traceback."""

    def step(*_):
        raise ZeroDivisionError("nobody foresaw this")

    step.__module__ = "enrich.steps.tides"
    monkeypatch.setattr(chain, "STEPS", (step,))
    with pytest.raises(StepFailed) as caught:
        enrich(make.change("1"))
    assert str(caught.value) == "the step tides failed: ZeroDivisionError: nobody foresaw this"
    assert caught.value.detail["step"] == "tides"
    assert 'raise ZeroDivisionError("nobody foresaw this")' in caught.value.detail["traceback"]


def test_too_little_memory_buries_nobody(make, monkeypatch):
    """Whose fault it is that memory runs out only deaths can tell: the worker ends."""

    def step(*_):
        raise MemoryError

    monkeypatch.setattr(chain, "STEPS", (step,))
    with pytest.raises(MemoryError):
        enrich(make.change("1"))


def test_poison_of_a_step(make, monkeypatch):
    """A poison error of a step goes through as it is."""

    def step(*_):
        raise MalformedEvent("as it is")

    monkeypatch.setattr(chain, "STEPS", (step,))
    with pytest.raises(MalformedEvent, match="as it is"):
        enrich(make.change("1"))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.text(), inside, max_size=3),
    max_leaves=8,
)
numberlike = st.from_regex(r"[-+]?([0-9]{1,400}|nan|inf)([eE]\d{1,4})?", fullmatch=True)
times = st.datetimes(timezones=st.timezones()).map(lambda when: when.isoformat())
states = st.fixed_dictionaries(
    {"state": st.text() | numberlike},
    optional={
        "attributes": st.dictionaries(
            st.sampled_from(["friendly_name", "unit_of_measurement", "device_class", "restored"])
            | st.text(),
            json_values,
        ),
        "last_changed": times,
        "context": json_values,
    },
)
changes = st.fixed_dictionaries(
    {"new_state": st.none() | states},
    optional={"old_state": st.none() | states, "entity_id": st.sampled_from(["sensor.a", None, 7])},
)
event_objects = st.fixed_dictionaries(
    {"data": changes | changes | json_values}, optional={"context": json_values}
)


@given(
    (event_objects | json_values).map(msgspec.json.encode) | st.binary(),
    st.sampled_from(["state_changed", "rest_event"]),
    st.sampled_from(["sensor.a", "lock.a", ""]),
)
def test_any_json(data, event_type, entity_id):
    """Whatever comes in, it is enriched or poison; and a value is a finite number."""
    time = "2026-11-20T15:44:33.435789+00:00"
    event = Event("an-id", event_type, entity_id, time, "live", "home", data)
    try:
        whole = said(event)
    except PoisonError:
        return
    value = whole.get("value")
    assert value is None or (isinstance(value, float) and isfinite(value))
    assert whole.get("previous_duration_s", 0.0) >= 0.0
    assert "" not in whole.values()


@pytest.mark.parametrize(("version", "fewest"), [("2024.3.3", 6000), ("2026.2.3", 60)])
def test_recordings(version, fewest):
    """Each event of a real Home Assistant comes through, with its state and its attributes."""
    captured = [captured_event(text) for text in event_texts(version)]
    after = [enrich(event) for event in captured]
    assert len(after) == len(captured) >= fewest
    for before, event in zip(captured, after, strict=True):
        raw, whole = msgspec.json.decode(before.data), msgspec.json.decode(event.data)
        assert (event.id, event.entity_id, event.time) == (before.id, before.entity_id, before.time)
        if event.type != "state_changed":
            assert whole["attributes"] == raw["data"]
            continue
        new, old = raw["data"]["new_state"], raw["data"]["old_state"]
        assert whole["attributes"] == (new["attributes"] if new else {})
        assert whole.get("state", "") == (new["state"] if new else "")
        assert whole.get("previous_state") == ((old["state"] or None) if old else None)
        assert whole["context"] == raw["context"]
        assert ("value" in whole) <= whole["available"]
        assert isfinite(whole.get("value", 0.0))


def test_recorded_oddities():
    """The odd states that were put into a real Home Assistant have the values we decided on."""
    oddities = {
        "21": 21.0, "21.5": 21.5, "21.50": 21.5, "1e5": 100000.0, " 7 ": 7.0,
        "True": 1.0, "true": 1.0, "below_horizon": 0.0, "locked": 1.0, "not_home": 0.0,
        "nan": None, "NaN": None, "inf": None, "0x1F": None, "1_000": None, "": None,
        "[1, 2]": None, "yes": None, "Ausser Haus": None, "jammed": None, "unavailable": None,
    }  # fmt: skip
    seen = {}
    for text in event_texts("2024.3.3", "b_events_plain"):
        event = captured_event(text)
        if event.type == "state_changed":
            new = msgspec.json.decode(text)["data"]["new_state"]
            if new and new["state"] in oddities:
                seen[new["state"]] = said(event).get("value")
    assert seen == oddities


def captured_event(text: bytes) -> Event:
    raw = msgspec.json.decode(text)
    entity_id = raw["data"].get("entity_id", "")
    if not isinstance(entity_id, str):
        entity_id = ""
    return Event("an-id", raw["event_type"], entity_id, raw["time_fired"], "live", "home", text)

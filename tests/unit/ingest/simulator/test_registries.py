"""The registries look as Home Assistant's do."""

import json

import pytest

from ingest.simulator import registries
from ingest.simulator.house import SOCKET, STRIP, Thing, things
from tests.fakes.recordings import frames

KINDS = ("area", "floor", "label", "device", "entity")


def recorded_keys(version: str) -> dict[str, set[str]]:
    """Keys of the first item of each registry's last list in a recording."""
    asked: dict[int, str] = {}
    found: dict[str, set[str]] = {}
    for frame in frames(version, "a_auth_states_registries"):
        if frame["dir"] == "send" and "_registry/list" in str(frame["text"]):
            message = json.loads(str(frame["text"]))
            asked[message["id"]] = (
                message["type"].removeprefix("config/").removesuffix("_registry/list")
            )
        elif frame["dir"] == "recv" and '"result"' in str(frame["text"])[:40]:
            message = json.loads(str(frame["text"]))
            if message["id"] in asked and message.get("result"):
                result = message["result"]
                if isinstance(result, list):
                    found[asked[message["id"]]] = set(result[0])
    return found


def listed(kind: str, generation: int) -> list[dict[str, object]]:
    if kind == "entity":
        return registries.entities(things(), generation)
    return {
        "area": registries.areas,
        "floor": registries.floors,
        "label": registries.labels,
        "device": registries.devices,
    }[kind](generation)


@pytest.mark.parametrize(("version", "generation"), [("2024.3.3", 1), ("2026.2.3", 2)])
def test_items_have_the_recorded_keys(version: str, generation: int):
    """Each item of each registry has exactly the keys that a real home's items have."""
    recorded = recorded_keys(version)
    assert set(recorded) == set(KINDS)
    for kind in KINDS:
        for item in listed(kind, generation):
            assert set(item) == recorded[kind], kind


def test_the_newest_registries_have_child_devices():
    """From 2026.9 on a child device has a parent and few keys."""
    devices = {device["id"]: device for device in registries.devices(registries.PARENTED)}
    assert devices[SOCKET]["parent_device_id"] == STRIP
    assert "manufacturer" not in devices[SOCKET]
    assert devices[STRIP]["parent_device_id"] is None
    assert "manufacturer" in devices[STRIP]
    assert "next_name_part" in registries.entities(things(), registries.PARENTED)[0]


def test_what_has_no_unique_id_is_not_registered():
    """An entity without a unique id stands in no registry."""
    known = Thing("sensor.a", "A", "wave")
    unknown = Thing("sensor.b", "B", "wave", registered=False)
    assert [each["entity_id"] for each in registries.entities([known, unknown], 2)] == ["sensor.a"]


def test_identifiers_are_stable():
    """The same text gets the same 32 digits."""
    assert registries.identifier("x") == registries.identifier("x")
    assert len(registries.identifier("x")) == 32

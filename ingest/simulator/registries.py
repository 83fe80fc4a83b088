"""The registries as Home Assistant's `config/*_registry/list` commands answer them."""

from collections.abc import Iterable
from hashlib import md5
from typing import Any

from ingest.simulator.house import AREAS, DEVICES, FLOORS, LABELS, Device, Thing

CREATED_AT = 1_795_191_740.5
"""Unix time in seconds at which everything was registered."""

FIRST, LABELLED, PARENTED = 1, 2, 3
"""Generations of the registries, see `settings.Flavour.registries`."""


def identifier(text: str) -> str:
    """A registry id: 32 hexadecimal digits that the text always gets."""
    return md5(text.encode(), usedforsecurity=False).hexdigest()


def areas(generation: int) -> list[dict[str, Any]]:
    """Answer of `config/area_registry/list`."""
    listed = []
    for area_id, name, floor_id, _ in AREAS:
        area: dict[str, Any] = {
            "aliases": [],
            "area_id": area_id,
            "icon": None,
            "name": name,
            "picture": None,
        }
        if generation >= LABELLED:
            area |= {"floor_id": floor_id, "labels": [], "humidity_entity_id": None,
                     "temperature_entity_id": None, **_times()}  # fmt: skip
        listed.append(area)
    return listed


def floors(generation: int) -> list[dict[str, Any]]:
    """Answer of `config/floor_registry/list`."""
    newer = {"aliases": [], **_times()} if generation >= LABELLED else {}
    return [
        {"floor_id": floor_id, "icon": None, "level": level, "name": name, **newer}
        for floor_id, name, level in FLOORS
    ]


def labels(generation: int) -> list[dict[str, Any]]:
    """Answer of `config/label_registry/list`."""
    newer = _times() if generation >= LABELLED else {}
    return [
        {
            "color": color,
            "description": None,
            "icon": None,
            "label_id": label_id,
            "name": name,
            **newer,
        }
        for label_id, name, color in LABELS
    ]


def devices(generation: int) -> list[dict[str, Any]]:
    """Answer of `config/device_registry/list`."""
    return [_device(device, generation) for device in DEVICES]


def entities(things: Iterable[Thing], generation: int) -> list[dict[str, Any]]:
    """Answer of `config/entity_registry/list`: only what has a unique id stands there."""
    return [_entity(thing, generation) for thing in things if thing.registered]


def _times() -> dict[str, float]:
    return {"created_at": CREATED_AT, "modified_at": CREATED_AT}


def _device(device: Device, generation: int) -> dict[str, Any]:
    entry = identifier("entry of the house")
    child = device.parent_device_id is not None
    if child and generation >= PARENTED:
        return {
            "area_id": device.area_id, "config_entry_id": entry, "disabled_by": None,
            "id": device.id, "identifiers": [["demo", device.id]], "labels": list(device.labels),
            "name": device.name, "name_by_user": None,
            "parent_device_id": device.parent_device_id, **_times(),
        }  # fmt: skip
    listed: dict[str, Any] = {
        "area_id": device.area_id, "configuration_url": None, "config_entries": [entry],
        "connections": [], "disabled_by": None, "entry_type": None, "hw_version": None,
        "id": device.id, "identifiers": [["demo", device.id]], "manufacturer": device.manufacturer,
        "model": device.model, "name_by_user": None, "name": device.name, "serial_number": None,
        "sw_version": "1.0", "via_device_id": None,
    }  # fmt: skip
    if generation >= LABELLED:
        listed |= {"config_entries_subentries": {entry: [None]}, "labels": list(device.labels),
                   "model_id": None, "primary_config_entry": entry, **_times()}  # fmt: skip
    if generation >= PARENTED:
        del listed["config_entries_subentries"]
        listed |= {"config_entry_id": entry, "config_subentry_id": None, "next_name_part": None,
                   "parent_device_id": None}  # fmt: skip
    return listed


def _entity(thing: Thing, generation: int) -> dict[str, Any]:
    listed: dict[str, Any] = {
        "area_id": thing.area_id, "config_entry_id": identifier("entry of the house"),
        "device_id": thing.device_id, "disabled_by": None, "entity_category": None,
        "entity_id": thing.entity_id, "has_entity_name": False, "hidden_by": None, "icon": None,
        "id": identifier(thing.name + thing.platform + thing.rhythm),
        "labels": list(thing.labels) if generation >= LABELLED else [], "name": None, "options": {},
        "original_name": thing.name or None, "platform": thing.platform, "translation_key": None,
        "unique_id": f"{thing.platform}-{thing.name}",
    }  # fmt: skip
    if generation >= LABELLED:
        listed |= {"categories": {}, "config_subentry_id": None, **_times()}
    if generation >= PARENTED:
        del listed["has_entity_name"]
        listed["next_name_part"] = None
    return listed

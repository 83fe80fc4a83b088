"""What happens in a home beside states that change: renames, removals, a restart, automations.

Each function lets it happen and returns what the bus says of it, in Home Assistant's order.
"""

from dataclasses import replace
from typing import Any

import msgspec

from ingest.simulator import frames
from ingest.simulator.home import RUNNING, STARTING, Home, Life
from ingest.simulator.house import Thing, measured

STATE_CHANGED = "state_changed"
REGISTRY = "entity_registry_updated"
UNAVAILABLE = "unavailable"

Said = tuple[str, list[bytes]]
"""An event type, and event messages of it without their end."""

FIRST_NAME, SECOND_NAME, GUEST = (
    "sensor.renamed_often",
    "sensor.renamed_again",
    "sensor.comes_and_goes",
)
"""Entities to which something happens by itself."""


def other(home: Home, event_type: str, data: object, now_us: int) -> Said:
    """An event of any other type."""
    us, _, _ = home.moment(now_us)
    return event_type, [frames.event(event_type, data, us, us)]


def rename(home: Home, entity_id: str, new_id: str, now_us: int, *, sent: bool) -> list[Said]:
    """Give an entity another id; its old one is removed, its new one appears with the same state.

    Raises:
        KeyError: When there is no such entity.
    """
    old = home.lives[entity_id]
    state = _text(old)
    data = {
        "action": "update",
        "entity_id": new_id,
        "changes": {"entity_id": entity_id},
        "old_entity_id": entity_id,
    }
    told = other(home, REGISTRY, data, now_us)
    gone = home.take_away(old, now_us, sent=sent)
    new = _moved_in(home, replace(old.thing, entity_id=new_id))
    new.head, new.recorded_head = old.head, old.recorded_head
    come = home.write(new, state, now_us, sent=sent)
    changes: Said = (STATE_CHANGED, [gone, come])
    return [told, changes] if home.settings.flavour.registries == 1 else [changes, told]


def remove(home: Home, entity_id: str, now_us: int, *, sent: bool) -> list[Said]:
    """Remove an entity from the states and from the registry.

    Raises:
        KeyError: When there is no such entity.
    """
    gone = home.take_away(home.lives[entity_id], now_us, sent=sent)
    told = other(home, REGISTRY, {"action": "remove", "entity_id": entity_id}, now_us)
    return [(STATE_CHANGED, [gone]), told]


def add(home: Home, entity_id: str, area_id: str | None, now_us: int, *, sent: bool) -> list[Said]:
    """Add a sensor to the registry and to the states."""
    name = entity_id.partition(".")[2].replace("_", " ").capitalize()
    thing = Thing(entity_id, name, "wave", attributes=measured("A", "current"), area_id=area_id)
    life = _moved_in(home, thing)
    told = other(home, REGISTRY, {"action": "create", "entity_id": entity_id}, now_us)
    return [told, (STATE_CHANGED, home.change([life], now_us, sent=sent))]


def move(home: Home, entity_id: str, area_id: str | None, now_us: int) -> list[Said]:
    """Put an entity into another area.

    Raises:
        KeyError: When there is no such entity.
    """
    life = home.lives[entity_id]
    data = {"action": "update", "entity_id": entity_id, "changes": {"area_id": life.thing.area_id}}
    life.thing = replace(life.thing, area_id=area_id)
    return [other(home, REGISTRY, data, now_us)]


def start(home: Home, now_us: int, *, sent: bool) -> list[Said]:
    """Begin to start after a restart: half of the registered entities are there, unavailable."""
    home.phase = STARTING
    registered = [life for life in home.lives.values() if life.thing.registered]
    events = [_restored(home, life, now_us, sent=sent) for life in registered[::2]]
    return [
        other(home, "core_config_updated", {}, now_us),
        (STATE_CHANGED, events),
        other(home, "homeassistant_start", {}, now_us),
    ]


def finish_start(home: Home, now_us: int, *, sent: bool) -> list[Said]:
    """Finish to start: every entity gets a state; `old_state` is null, or the restored one."""
    home.phase = RUNNING
    return [
        (STATE_CHANGED, home.change(list(home.lives.values()), now_us, sent=sent)),
        other(home, "core_config_updated", {}, now_us),
        other(home, "homeassistant_started", {}, now_us),
    ]


def everyday(home: Home, turn: int, now_us: int, *, sent: bool) -> list[Said]:
    """The next thing that happens by itself: a rename, a removal, its return, an automation."""
    what = turn % 4
    if what == 0 and (FIRST_NAME in home.lives) != (SECOND_NAME in home.lives):
        names = (FIRST_NAME, SECOND_NAME) if FIRST_NAME in home.lives else (SECOND_NAME, FIRST_NAME)
        return rename(home, *names, now_us, sent=sent)
    if what == 1 and GUEST in home.lives:
        return remove(home, GUEST, now_us, sent=sent)
    if what == 2 and GUEST not in home.lives:  # noqa: PLR2004 - the third of four
        return add(home, GUEST, "buro_office", now_us, sent=sent)
    return automation(home, turn, now_us)


def automation(home: Home, turn: int, now_us: int) -> list[Said]:
    """An automation that calls a service."""
    name = f"Licht an, Nr. {turn}"
    triggered = {"name": name, "entity_id": "automation.light", "source": "time pattern"}
    data: dict[str, Any] = {"entity_id": ["light.kuche"]}
    call = {"domain": "light", "service": "turn_on", "service_data": data}
    return [
        other(home, "automation_triggered", triggered, now_us),
        other(home, "call_service", call, now_us),
    ]


def _moved_in(home: Home, thing: Thing) -> Life:
    life = home.move_in(thing)
    home.shuffle()
    return life


def _text(life: Life) -> str:
    return msgspec.json.decode(life.state or b'"unknown"', type=str)


def _restored(home: Home, life: Life, now_us: int, *, sent: bool) -> bytes:
    known = {**life.thing.attributes, "restored": True, "friendly_name": life.thing.name}
    head, recorded_head = life.head, life.recorded_head
    life.dress(known, home.run)
    event = home.write(life, UNAVAILABLE, now_us, sent=sent)
    life.head, life.recorded_head = head, recorded_head
    return event

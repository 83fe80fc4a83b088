"""Events as a home would give them, and a way to run single steps on them."""

from collections.abc import Callable

import msgspec
import pytest

from common.enriched import Enriched, Processing
from common.event import Event
from common.registry import EMPTY, Registry
from enrich.raw import read

ENTITY = "sensor.kitchen_temperature"
TIME = "2026-11-20T15:44:33.435789+00:00"
CHANGED = "2026-11-20T15:44:33.435789+00:00"
CHANGED_BEFORE = "2026-11-20T15:43:32.035789+00:00"


def state(text: object, attributes: object = None, last_changed: object = CHANGED) -> dict:
    """Make a state as Home Assistant writes it."""
    return {
        "entity_id": ENTITY,
        "state": text,
        "attributes": {} if attributes is None else attributes,
        "last_changed": last_changed,
        "last_updated": TIME,
        "context": {"id": "of the state", "parent_id": None, "user_id": None},
    }


def event(data: object, event_type: str = "state_changed", entity_id: str = ENTITY) -> Event:
    """Make a captured event; what is no bytes becomes JSON."""
    raw = data if isinstance(data, bytes) else msgspec.json.encode(data)
    return Event("an-id", event_type, entity_id, TIME, "live", "home", raw)


def change(
    new: object = None, old: object = None, entity_id: str = ENTITY, **beside: object
) -> Event:
    """Make a state change from two states; a text becomes a state with that text."""
    old_state = state(old, last_changed=CHANGED_BEFORE) if isinstance(old, str) else old
    new_state = state(new) if isinstance(new, str) else new
    data = {"entity_id": entity_id, "old_state": old_state, "new_state": new_state}
    return event({"event_type": "state_changed", "data": data, **beside}, entity_id=entity_id)


def run(*steps: Callable, on: Event, registry: Registry = EMPTY) -> Enriched:
    """Run steps on a fresh enriched event."""
    enriched = Enriched(
        available=True,
        attributes=msgspec.Raw(b"{}"),
        quality=(),
        processing=Processing((), "", "", 0.0),
    )
    captured = read(on)
    for step in steps:
        step(captured, registry, enriched)
    return enriched


class Make:
    """What the tests of this room make their events with."""

    state = staticmethod(state)
    event = staticmethod(event)
    change = staticmethod(change)
    run = staticmethod(run)
    entity_id = ENTITY
    time = TIME


@pytest.fixture
def make() -> type[Make]:
    """Events, states, and steps that run on them."""
    return Make

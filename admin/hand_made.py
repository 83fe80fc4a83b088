"""Events that a person hands in → Event."""

import json
from collections.abc import Mapping
from typing import Any, Final

from common.errors import MalformedEvent
from common.event import API, STATE_CHANGED, Event, event_id, normal_time
from common.secret import without_secrets

LONGEST_NAME: Final = 255
"""Characters of an entity id or an event type: so many has the recorder of Home Assistant."""


def event_of(  # noqa: PLR0913 - one for each thing that makes an event
    event_type: str,
    data: Mapping[str, Any],
    time_fired: str,
    *,
    origin: str,
    home: str,
    context_id: str,
) -> Event:
    """Make the event that Home Assistant would have fired.

    Args:
        event_type: Home Assistant's event type.
        data: Its data; of a state change `entity_id`, `old_state` and `new_state`.
        time_fired: ISO 8601 with a zone.
        origin: `LOCAL` or `REMOTE`.
        home: Name of the home.
        context_id: Id of the context that stands for the person.

    Raises:
        MalformedEvent: When no event can be made of it; the message says which part is wrong.
    """
    fired = normal_time(time_fired)
    entity_id = data.get("entity_id", "")
    time = _time_of_state(data, fired) if event_type == STATE_CHANGED else fired
    if not isinstance(entity_id, str):  # other event types may name a list of entities
        entity_id = ""
    for name, text in (("event_type", event_type), ("data.entity_id", entity_id)):
        if len(text) > LONGEST_NAME:
            raise MalformedEvent(f"{name}: is longer than {LONGEST_NAME} characters")
    body = json_of(
        {
            "event_type": event_type,
            "data": data,
            "origin": origin,
            "time_fired": fired,
            "context": {"id": context_id, "parent_id": None, "user_id": None},
        }
    )
    identity = event_id(home, event_type, entity_id, time)
    kept = without_secrets(body, event_type)
    return Event(identity, event_type, entity_id, time, API, home, kept)


def json_of(value: object) -> bytes:
    """Write a value as JSON that every reader understands.

    Raises:
        MalformedEvent: When it holds NaN, an infinity, half a character, or is too deep.
    """
    try:
        return json.dumps(
            value, ensure_ascii=False, allow_nan=False, separators=(",", ":")
        ).encode()
    except (ValueError, RecursionError) as error:
        message = f"data: cannot be written as JSON: {error}"
        raise MalformedEvent(message) from error


def _time_of_state(data: Mapping[str, Any], fired: str) -> str:
    """When the state changed; also checks that `data` is a state change."""
    entity_id = data.get("entity_id")
    if not isinstance(entity_id, str) or "." not in entity_id:
        raise MalformedEvent("data.entity_id: a state_changed needs one, as sensor.kitchen")
    new_state = data.get("new_state")
    if new_state is None:  # the entity was removed
        return fired
    if not isinstance(new_state, Mapping):
        raise MalformedEvent("data.new_state: must be an object, or null for a removal")
    if not isinstance(new_state.get("state"), str):
        raise MalformedEvent('data.new_state.state: must be a text, as "21.4"')
    old_state = data.get("old_state")
    for name, state in (("new_state", new_state), ("old_state", old_state)):
        if isinstance(state, Mapping):
            _time(state, name, "last_changed")
    return _time(new_state, "new_state", "last_updated") or fired


def _time(state: Mapping[str, Any], name: str, key: str) -> str | None:
    """A time that a state tells, as events have it; None where it tells none."""
    told = state.get(key)
    if told is None:
        return None
    if not isinstance(told, str):
        raise MalformedEvent(f"data.{name}.{key}: must be a text in ISO 8601")
    try:
        return normal_time(told)
    except MalformedEvent as error:
        message = f"data.{name}.{key}: {error}"
        raise MalformedEvent(message) from error

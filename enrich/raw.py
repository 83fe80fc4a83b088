"""What enrichment reads of Home Assistant's event object, and nothing beside it."""

from datetime import datetime
from typing import Annotated, Any

import msgspec

from common.errors import MalformedEvent
from common.event import STATE_CHANGED, Event

EMPTY = msgspec.Raw(b"{}")
"""A JSON object without keys."""

ABSENT = msgspec.Raw()
"""Stands where a key was missing."""

Moment = Annotated[datetime, msgspec.Meta(tz=True)]
"""A time that says its zone."""


class Past(msgspec.Struct, frozen=True, gc=False):
    """A state as it was before the event.

    Attributes:
        state: Its text.
        last_changed: Since when; attribute changes do not move it.
    """

    state: str
    last_changed: Moment | None = None


class State(msgspec.Struct, frozen=True, gc=False):
    """A state as the event made it.

    Attributes:
        state: Its text.
        last_changed: Since when; attribute changes do not move it.
        attributes: JSON object.
        context: JSON, or `ABSENT`.
    """

    state: str
    last_changed: Moment | None = None
    attributes: msgspec.Raw = EMPTY
    context: msgspec.Raw = ABSENT


class Known(msgspec.Struct, frozen=True, gc=False):
    """The attributes whose meaning is known; None where absent or of an odd type."""

    unit_of_measurement: str | None = None
    device_class: str | None = None
    state_class: str | None = None
    friendly_name: str | None = None
    restored: bool | None = None


UNKNOWN = Known()
"""No attribute is known."""


class Captured(msgspec.Struct, frozen=True, gc=False):
    """An event as captured, opened as far as the steps need it.

    Attributes:
        event: The event itself.
        old: The state before; None where there was none, and for other event types.
        new: The state after; None for a removal, and for other event types.
        known: The known attributes of `new`.
        attributes: JSON object: attributes of `new`; of other event types their `data`.
        context: JSON object, or None where there is none.
        is_removal: Whether the entity has left the state machine.
    """

    event: Event
    old: Past | None
    new: State | None
    known: Known
    attributes: msgspec.Raw
    context: msgspec.Raw | None
    is_removal: bool


class _Change(msgspec.Struct, gc=False):
    new_state: State | None
    old_state: Past | None = None
    entity_id: str | None = None


class _StateChanged(msgspec.Struct, gc=False):
    data: _Change
    context: msgspec.Raw = ABSENT


class _Other(msgspec.Struct, gc=False):
    data: msgspec.Raw = EMPTY
    context: msgspec.Raw = ABSENT


_state_changed = msgspec.json.Decoder(_StateChanged)
_other = msgspec.json.Decoder(_Other)
_known = msgspec.json.Decoder(Known)
_any_known = msgspec.json.Decoder(dict[str, msgspec.Raw])
_types = {field.name: field.type for field in msgspec.structs.fields(Known)}


def read(event: Event) -> Captured:
    """Open a captured event.

    Raises:
        MalformedEvent: When its data is no JSON, or has not the shape of its event type.
    """
    try:
        if not event.data.isascii():
            event.data.decode()  # msgspec does not look into the strings that it skips
        return _read_change(event) if event.type == STATE_CHANGED else _read_other(event)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        message = f"not an event of type {event.type!r}: {error}"
        raise MalformedEvent(message) from error


def _read_change(event: Event) -> Captured:
    raw = _state_changed.decode(event.data)
    change = raw.data
    if "." not in event.entity_id:
        message = f"a state change of no entity: its entity id is {event.entity_id!r}"
        raise MalformedEvent(message)
    if change.entity_id is not None and change.entity_id != event.entity_id:
        message = f"the event is of {event.entity_id!r}, but its data of {change.entity_id!r}"
        raise MalformedEvent(message)
    new = change.new_state
    if new is None:
        context = _object(raw.context)
        return Captured(event, change.old_state, None, UNKNOWN, EMPTY, context, is_removal=True)
    return Captured(
        event,
        change.old_state,
        new,
        read_known(new.attributes),
        new.attributes,
        _object(raw.context) or _object(new.context),
        is_removal=False,
    )


def _read_other(event: Event) -> Captured:
    raw = _other.decode(event.data)
    data = _object(raw.data)
    if data is None:
        message = f"not an event of type {event.type!r}: its data is no JSON object"
        raise MalformedEvent(message)
    return Captured(event, None, None, UNKNOWN, data, _object(raw.context), is_removal=False)


def read_known(attributes: msgspec.Raw) -> Known:
    """Read the known attributes; one of an odd type is as good as absent.

    Raises:
        msgspec.ValidationError: When the attributes are no JSON object.
    """
    try:
        return _known.decode(attributes)
    except msgspec.ValidationError:
        return Known(**_usable(_any_known.decode(attributes)))


def _usable(attributes: dict[str, msgspec.Raw]) -> dict[str, Any]:
    usable = {}
    for name in _types.keys() & attributes.keys():
        try:
            usable[name] = msgspec.json.decode(attributes[name], type=_types[name])
        except msgspec.ValidationError:
            continue
    return usable


def _object(raw: msgspec.Raw) -> msgspec.Raw | None:
    return raw if bytes(raw).startswith(b"{") else None

"""An event as the flat fields of a stream entry, and back."""

import re
from collections.abc import Sequence
from typing import Final

from common.errors import MalformedEvent
from common.event import Event

VERSION: Final = b"1"
"""Format version that habus writes in field `v`."""

ENTRY_ID: Final = re.compile(r"\d{1,19}-\d{1,19}", re.ASCII)
"""An entry id of Redis; 19 digits fit into its 64 bits."""

Position = tuple[int, int]
"""An entry id as numbers, which sort as Redis sorts it."""

Field = str | bytes | int
"""What Redis takes as a field's name or value."""

Shared = tuple[str, str, str]
"""Type, source and home, which most events of a batch have in common: said once to the scripts."""

Values = tuple[str, str, str, bytes]
"""What varies from event to event: id, entity_id, time and data; the scripts know the names."""

_NAMES: Final = [b"v", b"id", b"type", b"entity_id", b"time", b"source", b"home", b"data"]
_DIGITS: Final = 19
"""Digits that fit into 64 bits; Python itself refuses to read more than 4300."""
_REQUIRED: Final = ("id", "type", "time", "data")


def fields_of(event: Event) -> list[Field]:
    """Flat fields and values of an entry, in the order that `event_of` reads fastest."""
    flat: list[Field] = [
        b"v",
        VERSION,
        b"id",
        event.id,
        b"type",
        event.type,
        b"entity_id",
        event.entity_id,
        b"time",
        event.time,
        b"source",
        event.source,
        b"home",
        event.home,
        b"data",
        event.data,
    ]
    if event.replays:
        flat += (b"replays", event.replays)
    return flat


def shared_of(event: Event) -> Shared:
    """Values that its neighbours have too, for the scripts."""
    return event.type, event.source, event.home


def values_of(event: Event) -> Values:
    """Values that its neighbours do not have, for the scripts; it was never replayed."""
    return event.id, event.entity_id, event.time, event.data


def event_of(flat: Sequence[bytes]) -> Event:
    """Read the flat fields of an entry; unknown fields are ignored.

    Raises:
        MalformedEvent: When a field is missing, is no UTF-8, or `v` is not ours.
    """
    try:
        if flat[0::2] == _NAMES and flat[1] == VERSION:
            return Event(
                flat[3].decode(),
                flat[5].decode(),
                flat[7].decode(),
                flat[9].decode(),
                flat[11].decode(),
                flat[13].decode(),
                flat[15],
            )
        return _event_of_any(dict(zip(flat[0::2], flat[1::2], strict=False)))
    except UnicodeDecodeError as error:
        message = f"a field of the entry is no UTF-8: {error}"
        raise MalformedEvent(message) from error


def _event_of_any(fields: dict[bytes, bytes]) -> Event:
    version = fields.get(b"v", VERSION)
    if version != VERSION:
        theirs, ours = version.decode("utf-8", "replace"), VERSION.decode()
        message = f"the entry has format version {theirs!r}; this habus reads {ours!r}"
        raise MalformedEvent(message)
    if missing := [name for name in _REQUIRED if name.encode() not in fields]:
        message = f"the entry lacks the field {', '.join(missing)}"
        raise MalformedEvent(message)
    return Event(
        id=fields[b"id"].decode(),
        type=fields[b"type"].decode(),
        entity_id=fields.get(b"entity_id", b"").decode(),
        time=fields[b"time"].decode(),
        source=fields.get(b"source", b"api").decode(),
        home=fields.get(b"home", b"home").decode(),
        data=fields[b"data"],
        replays=number(fields.get(b"replays")),
    )


def position_of(entry_id: str) -> Position:
    """An entry id as numbers.

    Raises:
        ValueError: When it is none.
    """
    ms, _, sequence = entry_id.partition("-")
    return int(ms), int(sequence)


def none_before(entry_id: str | None) -> bool:
    """Whether no entry can be older: Redis does not take the question what is before 0-0."""
    return entry_id is not None and not entry_id.strip("0-")


def number(text: str | bytes | None) -> int:
    """The whole number that stands in a field; 0 where none does that fits into 64 bits."""
    is_number = text and text.isdigit() and text.isascii() and len(text) <= _DIGITS
    return int(text) if text and is_number else 0

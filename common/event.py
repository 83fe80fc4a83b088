"""Event: the one thing that travels."""

import hashlib
from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec

from common.errors import MalformedEvent

NAMESPACE = UUID("6f1d3a52-8f0b-5c0e-9d7a-3f6b1c2e4a90")
"""Namespace of every event id (UUIDv5)."""

STATE_CHANGED = "state_changed"
"""Event type of a state change; every other type but `GAP` is stored in measurement `event`."""

GAP = "habus_gap"
"""Event type of habus's own: a time of which events stay missing; also its measurement."""

LIVE, BACKFILL, SNAPSHOT, API = "live", "backfill", "snapshot", "api"
"""Values of `source`: how the event came to habus."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SHA1_OF_NAMESPACE = hashlib.sha1(NAMESPACE.bytes, usedforsecurity=False)
_VARIANT = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}
_ISO_LENGTH = len("2026-11-20T15:44:33.435789+00:00")


class Event(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A state change of one entity, or another event of Home Assistant.

    Attributes:
        id: UUIDv5 of (home, type, entity_id, time): the same for the same event, however it came.
        type: Home Assistant's event type, e.g. `state_changed`.
        entity_id: `sensor.kitchen_temperature`; empty where the type has none.
        time: ISO 8601 in UTC with microseconds, `2026-11-20T15:44:33.435789+00:00`.
        source: `live`, `backfill`, `snapshot` or `api`; of other programs perhaps `demo`.
        home: Name of the home.
        data: JSON. Before enrichment Home Assistant's event object, after it an `Enriched`.
        replays: How often it was replayed from the dead letters.
    """

    id: str
    type: str
    entity_id: str
    time: str
    source: str
    home: str
    data: bytes
    replays: int = 0


def event_id(home: str, event_type: str, entity_id: str, time: str) -> str:
    """Return the UUIDv5 that the same event always has.

    The four parts are joined by a NUL character, encoded as UTF-8, in `NAMESPACE`.
    """
    digest = _SHA1_OF_NAMESPACE.copy()
    digest.update(f"{home}\0{event_type}\0{entity_id}\0{time}".encode())
    text = digest.hexdigest()
    variant = _VARIANT[text[16]]
    return f"{text[:8]}-{text[8:12]}-5{text[13:16]}-{variant}{text[17:20]}-{text[20:32]}"


def normal_time(text: str) -> str:
    """Return an ISO 8601 time in UTC with six digits of a second.

    Home Assistant drops the fraction when it is zero; people hand in any zone.

    Raises:
        MalformedEvent: When the text is no time, or has no zone.
    """
    if len(text) == _ISO_LENGTH and text.endswith("+00:00") and text[10] + text[19] == "T.":
        parse_time(text)
        return text
    return format_time(parse_time(text))


def parse_time(text: str) -> datetime:
    """Read an ISO 8601 time that says its zone.

    Raises:
        MalformedEvent: When the text is no time, or has no zone.
    """
    try:
        when = datetime.fromisoformat(text)
    except (ValueError, TypeError) as error:
        message = f"not an ISO 8601 time: {text!r}"
        raise MalformedEvent(message) from error
    if when.tzinfo is None:
        message = f"a time without a zone: {text!r}; add Z or an offset such as +01:00"
        raise MalformedEvent(message)
    return when


def format_time(when: datetime) -> str:
    """Write a time as events carry it: UTC, six digits of a second.

    Raises:
        MalformedEvent: When the time lies outside the years 1 to 9999 in UTC.
    """
    try:
        return when.astimezone(UTC).isoformat(timespec="microseconds")
    except OverflowError as error:
        message = f"a time outside the years 1 to 9999 in UTC: {when.isoformat()}"
        raise MalformedEvent(message) from error


def microseconds(time: str) -> int:
    """Microseconds since 1970 of an event's time."""
    since = datetime.fromisoformat(time) - EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def time_of(us: int) -> str:
    """Return the event time that is so many microseconds after 1970."""
    return format_time(EPOCH + timedelta(microseconds=us))

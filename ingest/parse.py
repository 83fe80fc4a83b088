"""Their words → Event.

Odd shapes, and what becomes of them:

- a time that cannot be read, or has no zone, counts as absent;
- a state change without `new_state.last_updated` is dated by `time_fired`, like a removal;
- an `entity_id` that is no text counts as absent, which only a state change may not have;
- no event type, no time, no object, no JSON: `MalformedEvent`.
"""

from contextlib import suppress
from datetime import UTC, datetime
from functools import lru_cache

import msgspec

from common.errors import MalformedEvent
from common.event import (
    BACKFILL,
    LIVE,
    SNAPSHOT,
    STATE_CHANGED,
    Event,
    event_id,
    format_time,
    normal_time,
)
from common.secret import readable, without_secrets

_NONE = b"{}"
_TIMES = 4096
"""Times of rows that are kept ready: each is written three times, and again with the next row."""


class HistoryRow(msgspec.Struct, frozen=True, gc=False):
    """One state of an entity, as `history/history_during_period` answers it.

    Attributes:
        s: Text of the state; None for a removal.
        a: Attributes as JSON.
        lu: `last_updated` in seconds since 1970; absent where it equals `lc`.
        lc: `last_changed` in seconds since 1970; absent where it equals `lu`.
    """

    s: str | None
    a: msgspec.Raw = msgspec.Raw(_NONE)
    lu: float | None = None
    lc: float | None = None

    @property
    def is_removal(self) -> bool:
        """Whether the entity was removed then.

        A removal is null on the wire; in the database it is an empty text, which a state can be
        too, but hardly without any attribute.
        """
        return self.s is None or (self.s == "" and bytes(self.a) == _NONE)

    def with_meaning(self, meaning: bytes) -> "HistoryRow":
        """The same row; one that was recorded without any attribute gets these, as JSON.

        Home Assistant records none where they are too large together; what makes up the series
        of the entity must not depend on the way by which its event came.
        Source: homeassistant/components/recorder/db_schema.py, MAX_STATE_ATTRS_BYTES.
        """
        if self.is_removal or bytes(self.a) != _NONE:
            return self
        return HistoryRow(self.s, msgspec.Raw(meaning), self.lu, self.lc)

    @property
    def seconds(self) -> float:
        """`last_updated` in seconds since 1970; 0 where the row has no time."""
        return (self.lu if self.lu is not None else self.lc) or 0.0

    @property
    def time(self) -> str:
        """`last_updated` as events carry it, rounded as Home Assistant rounds it.

        Raises:
            MalformedEvent: When the row has no time, or one outside the years 1 to 9999.
        """
        return _time_of(self.lu if self.lu is not None else self.lc)


class _NewState(msgspec.Struct, gc=False):
    last_updated: str | None = None


class _Data(msgspec.Struct, gc=False):
    entity_id: str | None = None
    new_state: _NewState | None = None


class _Header(msgspec.Struct, gc=False):
    event_type: str
    data: _Data | None = None
    time_fired: str | None = None


class _Meaning(msgspec.Struct, omit_defaults=True, gc=False):
    """Attributes of which a series is made, and what its values mean; whatever they hold."""

    friendly_name: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    device_class: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    state_class: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    unit_of_measurement: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class _Described(msgspec.Struct, gc=False):
    attributes: _Meaning


_described_decoder = msgspec.json.Decoder(_Described)
_header_decoder = msgspec.json.Decoder(_Header)
_object_decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])
_text_decoder = msgspec.json.Decoder(str)
_states_decoder = msgspec.json.Decoder(list[msgspec.Raw])
_history_decoder = msgspec.json.Decoder(dict[str, list[HistoryRow]])
_NOT_JSON = (msgspec.DecodeError, RecursionError, UnicodeError)


def parse(raw: bytes, home: str, source: str = LIVE) -> Event:
    """Make an Event of Home Assistant's event object; its JSON loses its secrets, nothing else.

    Raises:
        MalformedEvent: When it cannot be an event; `detail["json"]` is it without its secrets.
    """
    return parsed(raw, home, source)[0]


def parsed(raw: bytes, home: str, source: str = LIVE) -> tuple[Event, bool]:
    """Do the same as `parse`, and say whether an entity was removed.

    Raises:
        MalformedEvent: As `parse` does.
    """
    try:
        if not raw.isascii():
            raw.decode()
        header = _header_of(raw)
        event_type = header.event_type
        data = without_secrets(raw, event_type)
    except (*_NOT_JSON, MalformedEvent) as error:
        raise _malformed(str(error), raw) from error
    if not event_type:
        raise _malformed("it has no event type", raw)
    entity_id = (header.data and header.data.entity_id) or ""
    if event_type == STATE_CHANGED and not entity_id:
        raise _malformed("a state change of no entity", raw)
    time = _time_in(header)
    if time is None:
        raise _malformed("it has no time that can be read", raw)
    event = Event(
        event_id(home, event_type, entity_id, time), event_type, entity_id, time, source, home, data
    )
    return event, _is_removal(header)


def of_state(state: bytes, home: str, source: str = SNAPSHOT) -> Event:
    """Make an Event of a state, as if it had just changed; its id is that of the live event.

    Raises:
        MalformedEvent: When it is no state.
    """
    try:
        fields = _object_decoder.decode(state)
    except _NOT_JSON as error:
        raise _malformed(f"no state: {error}", state) from error
    return parse(
        _state_changed(
            fields.get("entity_id"),
            fields.get("last_updated"),
            old_state=None,
            new_state=msgspec.Raw(state),
            context=fields.get("context"),
        ),
        home,
        source,
    )


def of_history_row(
    entity_id: str, row: HistoryRow, previous: HistoryRow | None, home: str
) -> Event:
    """Make an Event of a row of history; its id is that of the live event.

    History knows no context, and not every attribute.

    Args:
        entity_id: The key under which the row stands in the answer.
        row: What the entity became.
        previous: The entity's row before this one; None where it is not known.
        home: Name of the home.

    Raises:
        MalformedEvent: When the row has no time.
    """
    event = _state_changed(
        entity_id, row.time, _state_of(entity_id, previous), _state_of(entity_id, row), None
    )
    return parse(event, home, BACKFILL)


def is_removal(event: Event) -> bool:
    """Whether an entity was removed."""
    with suppress(*_NOT_JSON):
        return _is_removal(_header_of(event.data))
    return False


def meaning_of(state: bytes) -> bytes:
    """Those attributes of a state, as JSON, that tell its series and what its values mean."""
    with suppress(*_NOT_JSON):
        return msgspec.json.encode(_described_decoder.decode(state).attributes)
    return _NONE


def split_states(result: bytes) -> list[bytes]:
    """Cut the result of `get_states` into its states, each for `of_state`.

    Raises:
        MalformedEvent: When it is no list.
    """
    try:
        return [bytes(state) for state in _states_decoder.decode(result)]
    except _NOT_JSON as error:
        raise _malformed(f"no list of states: {error}", result) from error


def split_history(result: bytes) -> dict[str, list[HistoryRow]]:
    """Cut the result of `history/history_during_period` into rows by entity.

    Raises:
        MalformedEvent: When it has another shape.
    """
    try:
        return _history_decoder.decode(result)
    except _NOT_JSON as error:
        raise _malformed(f"no history: {error}", result) from error


def _header_of(raw: bytes) -> _Header:
    try:
        return _header_decoder.decode(raw)
    except msgspec.ValidationError:  # one value has another type than usual
        event = _object_decoder.decode(raw)
        data = _fields(event.get("data"))
        return _Header(
            _text(event.get("event_type")) or "",
            _Data(
                _text(data.get("entity_id")),
                _NewState(_text(_fields(data.get("new_state")).get("last_updated"))),
            ),
            _text(event.get("time_fired")),
        )


def _is_removal(header: _Header) -> bool:
    data = header.data
    return data is not None and data.new_state is None and header.event_type == STATE_CHANGED


def _time_in(header: _Header) -> str | None:
    if header.event_type == STATE_CHANGED and (data := header.data) and (new := data.new_state):
        return _normal(new.last_updated) or _normal(header.time_fired)
    return _normal(header.time_fired)


def _normal(text: str | None) -> str | None:
    if text is None:
        return None
    try:
        return normal_time(text)
    except MalformedEvent:
        return None


def _fields(raw: msgspec.Raw | None) -> dict[str, msgspec.Raw]:
    with suppress(msgspec.ValidationError):
        return _object_decoder.decode(raw or b"null")
    return {}


def _text(raw: msgspec.Raw | None) -> str | None:
    with suppress(msgspec.ValidationError):
        return _text_decoder.decode(raw or b"null")
    return None


def _state_changed(
    entity_id: object, time: object, old_state: object, new_state: object, context: object
) -> bytes:
    data = {"entity_id": entity_id, "old_state": old_state, "new_state": new_state}
    return msgspec.json.encode(
        {
            "event_type": STATE_CHANGED,
            "data": data,
            "origin": "LOCAL",
            "time_fired": time,
            "context": context,
        }
    )


def _state_of(entity_id: str, row: HistoryRow | None) -> dict[str, object] | None:
    if row is None or row.is_removal:
        return None
    return {
        "entity_id": entity_id,
        "state": row.s,
        "attributes": row.a,
        "last_changed": row.time if row.lc is None else _time_of(row.lc),
        "last_updated": row.time,
        "context": None,
    }


@lru_cache(maxsize=_TIMES)
def _time_of(seconds: float | None) -> str:
    """Write a time as Home Assistant makes its ISO texts: by `datetime.fromtimestamp`.

    Multiplying by 1e6 first loses up to a quarter of a microsecond, and so sometimes one.
    """
    if seconds is None:
        raise MalformedEvent("a row of history without a time")
    try:
        return format_time(datetime.fromtimestamp(seconds, UTC))
    except (ValueError, OverflowError, OSError) as error:
        raise MalformedEvent(f"a row of history with the time {seconds!r}") from error


def _malformed(why: str, raw: bytes) -> MalformedEvent:
    return MalformedEvent(f"not an event: {why}", {"json": readable(raw)})

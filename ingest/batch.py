"""Rows that came together, as the spool's file keeps them: MessagePack in one row of its own."""

from collections.abc import Sequence
from typing import Any, Final, TypeVar
from zlib import crc32

import msgspec

from common.bus import Row
from common.bus.entry import Field
from common.event import Event

Kind = TypeVar("Kind")
Batch = tuple[int, int, bytes, bytes | None, str, bytes]
"""Number of the last row; first part of all their entry ids; events; number → dead letter; how far
it reaches, and ids of its events: see `ingest.known`."""

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS batch ( -- events that came together; a row each would cost twice
    last INTEGER PRIMARY KEY, -- number of its last event; numbers are dense, from 1
    ms INTEGER NOT NULL,      -- first part of their entry ids, before the number; never falls
    events BLOB NOT NULL,     -- sealed MessagePack: list of events
    letters BLOB,             -- the same: number → dead letter of what cannot be read
    reach TEXT,               -- newest time up to here; never falls
    ids BLOB                  -- sealed MessagePack: list of the events' ids, fast to look into
);
CREATE TABLE IF NOT EXISTS once ( -- of each event that came late
    time TEXT,
    id TEXT,
    PRIMARY KEY (time, id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS latest ( -- of deleted events: when each entity last changed
    entity_id TEXT PRIMARY KEY,
    time TEXT NOT NULL
) WITHOUT ROWID;
"""
"""Tables of the spool's file that tell of events; the facts are in `ingest.fact`."""

KEEP: Final = (
    "INSERT OR REPLACE INTO batch (last, ms, events, letters, reach, ids) VALUES (?, ?, ?, ?, ?, ?)"
)
"""Puts a batch into the file."""

READ: Final = "SELECT last, ms, events, letters, reach FROM batch"
"""Begins a question for batches that are to be unpacked."""

WIDEN: Final = {
    "reach": "ALTER TABLE batch ADD COLUMN reach TEXT",
    "ids": "ALTER TABLE batch ADD COLUMN ids BLOB",
}
"""Column that the file of an older habus may lack, and so has no values of → makes it ours."""

_SEAL: Final = b"\xc1"
"""Begins what has a checksum: a byte that no MessagePack begins with."""

_CHECKED_FROM: Final = len(_SEAL) + 4
_encode = msgspec.msgpack.Encoder().encode
_decode_events = msgspec.msgpack.Decoder(list[Event]).decode
_decode_letters = msgspec.msgpack.Decoder(dict[int, list[Any]]).decode
_decode_ids = msgspec.msgpack.Decoder(set[str]).decode
_NO_LETTER: Final[list[Field]] = []


def packed(rows: Sequence[Row], reach: str) -> Batch:
    """Pack rows that follow each other and have one time; at least one."""
    letters = {row.seq: row.letter for row in rows if row.letter}
    events = [row.event for row in rows]
    return (
        rows[-1].seq,
        rows[-1].ms,
        _sealed(_encode(events)),
        _sealed(_encode(letters)) if letters else None,
        reach,
        _sealed(_encode([event.id for event in events])),
    )


def unpacked(batch: Sequence[Any]) -> list[Row]:
    """Unpack a batch, of which nothing but what `READ` gives is looked at.

    Raises:
        msgspec.MsgspecError: When it is not what `packed` made.
    """
    last, ms, events, letters, *_ = batch
    decoded, ms = events_in(events), plain(ms, int)
    of = _decode_letters(_opened(letters)) if letters else {}
    return [
        Row(seq, ms, event, of.get(seq, _NO_LETTER))
        for seq, event in enumerate(decoded, last - len(decoded) + 1)
    ]


def events_in(events: bytes) -> list[Event]:
    """Unpack a batch's events alone.

    Raises:
        msgspec.MsgspecError: When it is not what `packed` made.
    """
    return _decode_events(_opened(events))


def ids_in(ids: object, events: bytes) -> set[str]:
    """Ids of a batch's events; they are taken from these where an older habus kept none.

    Raises:
        msgspec.MsgspecError: When they are not what `packed` made.
    """
    if ids is None:
        return {event.id for event in events_in(events)}
    return _decode_ids(_opened(ids))


def plain(value: object, kind: type[Kind]) -> Kind:
    """Return a value that has no seal: a flipped bit may have made it one of another type.

    Raises:
        msgspec.DecodeError: When it has another type.
    """
    if not isinstance(value, kind):
        raise msgspec.DecodeError(f"no {kind.__name__} stands where one should")
    return value


def _sealed(content: bytes) -> bytes:
    """Put a checksum before it: SQLite has none, and reads a flipped bit without an error."""
    return _SEAL + crc32(content).to_bytes(4, "little") + content


def _opened(sealed: object) -> bytes:
    """What was sealed; what an older habus wrote has no seal, and is taken as it is."""
    if not isinstance(sealed, bytes):
        raise msgspec.DecodeError("no bytes stand where they should")
    if not sealed.startswith(_SEAL):
        return sealed
    content = sealed[_CHECKED_FROM:]
    if crc32(content).to_bytes(4, "little") != sealed[len(_SEAL) : _CHECKED_FROM]:
        raise msgspec.DecodeError("its checksum is wrong")
    return content

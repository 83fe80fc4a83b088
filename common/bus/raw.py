"""The head of the bus: what ingest alone writes to."""

from collections.abc import Sequence
from typing import Any

import msgspec
import redis.exceptions as redis_errors

from common.bus.connection import Bus
from common.bus.entry import Field, values_of
from common.errors import BusUnavailable, SpoolInUse
from common.event import Event


class Row(msgspec.Struct, frozen=True, gc=False):
    """An event on its way from the spool to the bus.

    Attributes:
        seq: Its number in the spool: dense, from 1.
        ms: First part of its entry id; with `seq` as second part, ids only grow.
        event: What came; of what cannot be read, a likeness that has its time and id.
        letter: Flat fields of the dead letter that it becomes; empty for an event.
    """

    seq: int
    ms: int
    event: Event
    letter: list[Field]


class Tally(msgspec.Struct, frozen=True):
    """What the spool has counted since it was made.

    Attributes:
        filtered: Events that a rule of the user left out.
        duplicates: Events that came a second time.
        complete_until: Up to here nothing is missing but known gaps: time of the newest live event
            or, while a span is not filled, of its beginning; empty while nobody knows.
    """

    filtered: int = 0
    duplicates: int = 0
    complete_until: str = ""


class RawStream:
    """Appends to `raw`, each event once, however often it is sent.

    Args:
        bus: Where the stream is.
        spool: Identity of the spool; only one may write the stream.
    """

    def __init__(self, bus: Bus, spool: str) -> None:
        self._bus = bus
        self._keys = bus.keys
        self._spool = spool
        self._position = ""

    async def owner(self) -> str | None:
        """Return the identity of the spool that writes the stream; None while nobody does.

        Raises:
            BusUnavailable: When Redis does not answer.
        """
        owner = await self._bus.read_field(self._keys.watermark, "spool")
        return owner.decode() if owner else None

    async def position(self) -> tuple[int, int]:
        """Return the last position (ms, seq) that anybody wrote, without becoming the writer.

        Raises:
            BusUnavailable: When Redis does not answer.
        """
        seen = await self._bus.read_field(self._keys.watermark, "position")
        try:
            stream = await self._bus.command("XINFO STREAM", self._keys.raw)
        except redis_errors.ResponseError as error:
            if "no such key" not in str(error):
                raise
            stream = {"last-generated-id": b"0-0"}
        return max(_pair(entry_id) for entry_id in (stream["last-generated-id"], seen or b"0-0"))

    async def own(self) -> tuple[int, int]:
        """Become the writer of the stream; return the last position (ms, seq) in it.

        What the spool holds above it is to be sent: after a lost answer, or when Redis was
        restarted, emptied, or lost its tail. To be called after every BusUnavailable.

        Raises:
            BusUnavailable: When Redis does not answer.
        """
        await self._bus.write_hash(self._keys.watermark, {"spool": self._spool})
        self._position = ""
        return await self._append("", "", "")

    async def append(self, rows: Sequence[Row], tally: Tally) -> tuple[int, int]:
        """Append rows above the position, count them, and return the new position (ms, seq).

        Raises:
            BusUnavailable: When Redis does not answer, is full, or lies behind what it said
                before; go on with `own`.
            SpoolInUse: When another spool writes the stream now.
        """
        args: list[Field] = []
        for row in rows:
            entry_id = f"{row.ms}-{row.seq}"
            if row.letter:
                args += (b"letter", entry_id, len(row.letter), *row.letter)
            else:
                args += (b"event", entry_id, *values_of(row.event))
        return await self._append(tally.filtered, tally.duplicates, tally.complete_until, *args)

    async def _append(self, *args: Field) -> tuple[int, int]:
        keys = (self._keys.raw, self._keys.dead, self._keys.watermark, self._keys.ledger)
        try:
            reply: list[Any] = await self._bus.run(
                "append", keys, self._spool, self._position, *args
            )
        except redis_errors.ResponseError as error:
            text = str(error)
            if "BEHIND" in text:
                message = f"Redis lost entries that it had: {text}"
                raise BusUnavailable(message) from error
            if "NOTOWNER" in text:
                message = (
                    f"another ingest writes {self._keys.raw}: stop it, or give this one "
                    f"another BUS_PREFIX ({text})"
                )
                raise SpoolInUse(message) from error
            raise
        self._position = reply[0].decode()
        return _pair(reply[0])


def _pair(entry_id: bytes) -> tuple[int, int]:
    ms, _, seq = entry_id.partition(b"-")
    return int(ms), int(seq)

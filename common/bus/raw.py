"""The head of the bus: what ingest alone writes to."""

from collections.abc import Sequence
from typing import Any

import msgspec
import redis.exceptions as redis_errors

from common.bus.connection import Bus
from common.bus.entry import Field, Shared, position_of, shared_of, values_of
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
        """Return the position (ms, seq) of the stream without becoming its writer.

        Raises:
            BusUnavailable: When Redis does not answer.
        """
        fields = ("position", "tail")
        position, tail = await self._bus.command("HMGET", self._keys.watermark, *fields)
        try:
            stream = await self._bus.command("XINFO STREAM", self._keys.raw)
        except redis_errors.ResponseError as error:
            if "no such key" not in str(error):
                raise
            return (0, 0)
        last: bytes = stream["last-generated-id"]
        return position_of((position if position and tail == last else last).decode())

    async def oldest(self) -> tuple[int, int] | None:
        """Return (ms, seq) of the first entry that stands in the stream; None when none does.

        Raises:
            BusUnavailable: When Redis does not answer.
        """
        entries = await self._bus.command("XRANGE", self._keys.raw, "-", "+", "COUNT", 1)
        return position_of(entries[0][0].decode()) if entries else None

    async def holds(self, row: Row) -> bool:
        """Whether the event of a row stands in the stream under the row's entry id.

        Raises:
            BusUnavailable: When Redis does not answer.
        """
        entry_id = f"{row.ms}-{row.seq}"
        entries = await self._bus.command("XRANGE", self._keys.raw, entry_id, entry_id)
        return bool(entries) and entries[0][1].get(b"id") == row.event.id.encode()

    async def own(
        self, expected: tuple[int, int] | None = None, tally: Tally | None = None
    ) -> tuple[int, int]:
        """Become the writer of the stream; return the position (ms, seq) in it.

        What the spool holds above it is to be sent: after a lost answer, or when Redis was
        restarted, emptied, or lost its tail. To be called after every BusUnavailable.

        Args:
            expected: What `position` said; the stream must not have moved since.
            tally: With what the spool was opened, when this is the first time since: where it
                is less than was told before, the spool is from a backup and counts on from there.

        Raises:
            BusUnavailable: When Redis does not answer, or the stream is not where expected.
        """
        await self._bus.write_hash(self._keys.watermark, {"spool": self._spool})
        self._position = "" if expected is None else "{}-{}".format(*expected)
        counts = ("", "") if tally is None else (tally.filtered, tally.duplicates)
        return await self._append(*counts, "")

    async def append(self, rows: Sequence[Row], tally: Tally) -> tuple[int, int]:
        """Append rows above the position, count them, and return the new position (ms, seq).

        Raises:
            BusUnavailable: When Redis does not answer, is full, or the stream is not where it
                was; go on with `position` and `own`.
            SpoolInUse: When another spool writes the stream now.
        """
        args: list[Field] = []
        said: Shared | None = None
        for row in rows:
            entry_id = f"{row.ms}-{row.seq}"
            if row.letter:
                args += (b"letter", entry_id, len(row.letter), *row.letter)
                continue
            if (shared := shared_of(row.event)) != said:
                said = shared
                args += (b"shared", *shared)
            args += (entry_id, *values_of(row.event))
        counts = (tally.filtered, tally.duplicates)
        return await self._append(*counts, tally.complete_until, rows=args)

    async def _append(self, *said: Field, rows: Sequence[Field] = ()) -> tuple[int, int]:
        keys = (self._keys.raw, self._keys.dead, self._keys.watermark, self._keys.ledger)
        try:
            reply: list[Any] = await self._bus.run(
                "append", keys, self._spool, self._position, *said, many=rows
            )
        except redis_errors.ResponseError as error:
            text = str(error)
            if "BEHIND" in text:
                message = f"Redis lost entries that it had: {text}"
                raise BusUnavailable(message) from error
            if "AHEAD" in text:
                message = f"somebody else wrote to {self._keys.raw}, which is ingest's: {text}"
                raise BusUnavailable(message) from error
            if "NOTOWNER" in text:
                message = (
                    f"another ingest writes {self._keys.raw}: stop it, or give this one "
                    f"another BUS_PREFIX ({text})"
                )
                raise SpoolInUse(message) from error
            raise
        self._position = reply[0].decode()
        return position_of(reply[0].decode())

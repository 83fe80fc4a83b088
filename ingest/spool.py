"""The spool: every event stands on this disk before anything else is done with it."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final

import msgspec
from msgspec.structs import replace

from common.bus import Row, Tally
from common.bus.entry import Field
from common.errors import SpoolUnavailable
from common.event import LIVE, SNAPSHOT, Event, microseconds
from common.lifecycle import to_its_end
from ingest.disk import (
    Answer,
    Disk,
    DiskFull,
    SpoolDamaged,
    open_disk,
    translated,
)
from ingest.fact import NOTE, facts_in, noted
from ingest.fresh import Fresh
from ingest.rows import Record, Rows

OVERLAP_MS: Final = 120_000
"""Milliseconds before a span whose rows stay until it is filled: history gives them again."""

DELETED_AT_ONCE: Final = 2_000
"""Most events deleted in one transaction: the next event waits for it."""

FREED_AT_ONCE: Final = 50
"""Events deleted in one transaction while the disk is full: its log must fit into the ballast."""

HELD: Final = "held"
"""Fact: the time at which `complete_until` stands still; absent where it moves on."""

IN_DOUBT: Final = ""
"""Value of `HELD` while nobody knows since when events are missing, as after damage."""

LIVE_UNTIL: Final = "live_until"
"""Fact: up to here all was heard, though the spool may hold no live event that says so."""

_NO_LETTER: Final[list[Field]] = []


class Spool:
    """Events on a disk, numbered; opened by `open_spool`.

    Attributes:
        identity: Made with the file; says on the bus which spool writes the stream.
        rows: What stands in the file.
        tally: What was counted since the file was made.
        live_until: Time of the newest event that was heard; empty while there is none.
        sent: Number up to which rows stand in the stream; whoever sends them says so.
    """

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self.sent = 0
        self.rows = Rows(disk)
        self._fresh = Fresh()
        facts = facts_in(disk.ask("SELECT name, value, checksum FROM fact"))
        self._facts = facts
        self.identity: str = facts.get("identity") or str(uuid.uuid4())
        disk.writer.execute(NOTE, noted("identity", self.identity))
        if disk.damage is not None:  # what was not sent may be gone
            facts[HELD] = IN_DOUBT
            disk.writer.execute(NOTE, noted(HELD, IN_DOUBT))
        self.live_until: str = max(facts.get(LIVE_UNTIL, ""), self.rows.newest_live())
        self.tally = Tally(
            int(facts.get("filtered", 0)), int(facts.get("duplicates", 0)), self._complete_until()
        )
        self._more = asyncio.Event()

    async def add(
        self,
        events: Sequence[Event],
        unreadable: Sequence[Record] = (),
        *,
        filtered: int,
        now_ms: int,
    ) -> int:
        """Put events on the disk, each once, and return how many are new.

        When it returns they survive a power cut. What stands there already, and of a snapshot
        what is no newer than the entity's last change known, is counted as a duplicate.

        Args:
            events: In the order in which they came.
            unreadable: What became of messages that are no event: its likeness, and the flat
                fields of its dead letter.
            filtered: How many events a rule left out since the last call.
            now_ms: Milliseconds since 1970; ids grow even when this clock does not.

        Raises:
            SpoolUnavailable: When the disk refuses; nothing was added, add the same again.
        """
        return await self.surely(lambda: self._add(events, unreadable, filtered, now_ms))

    async def _add(
        self,
        events: Sequence[Event],
        unreadable: Sequence[Record],
        filtered: int,
        now_ms: int,
    ) -> int:
        records: list[Record] = [
            (event, _NO_LETTER)
            for event in events
            if event.source != SNAPSHOT or self.rows.is_news(event)
        ]
        records += unreadable
        live_until = max((e.time for e in events if e.source == LIVE), default="")
        async with self._disk.transaction():
            adopted = self._adopt()
            rows = self.rows.insert(records, now_ms)
            new = len(rows) + adopted
            known = len(events) + len(unreadable) - new
            tally = Tally(
                self.tally.filtered + filtered,
                self.tally.duplicates + known,
                self._complete_until(live_until),
            )
            for name in ("filtered", "duplicates"):
                if getattr(tally, name) != getattr(self.tally, name):
                    self._disk.writer.execute(NOTE, noted(name, str(getattr(tally, name))))
        self.tally = tally
        self.live_until = max(self.live_until, live_until)
        self.rows.inserted(rows)
        self._fresh.add(rows)
        self._more.set()
        return new

    def fact(self, name: str) -> str | None:
        """What was noted under a name."""
        return self._facts.get(name)

    async def note(self, facts: Mapping[str, str | None]) -> None:
        """Keep facts on the disk, all or none of them; None forgets one.

        While `HELD` is noted, `complete_until` stands still at its value; else it is at least that
        of `LIVE_UNTIL`.

        Raises:
            SpoolUnavailable: When the disk refuses; nothing changed.
        """
        await self.surely(lambda: self._note(facts))

    async def _note(self, facts: Mapping[str, str | None]) -> None:
        async with self._disk.transaction() as writer:
            for name, value in facts.items():
                if value is None:
                    writer.execute("DELETE FROM fact WHERE name = ?", (name,))
                else:
                    writer.execute(NOTE, noted(name, value))
        for name, value in facts.items():
            if value is None:
                self._facts.pop(name, None)
            else:
                self._facts[name] = value
        self.live_until = max(self.live_until, self._facts.get(LIVE_UNTIL, ""))
        self.tally = replace(self.tally, complete_until=self._complete_until())
        self._more.set()

    def _complete_until(self, live_until: str = "") -> str:
        held = self._facts.get(HELD)
        return max(self.live_until, live_until) if held is None else held

    async def after(self, seq: int, limit: int) -> list[Row]:
        """Rows that follow a number, in order; from memory when they are new.

        Raises:
            SpoolUnavailable: When the disk refuses.
        """
        self._more.clear()
        if seq >= self.rows.end.seq:
            return []
        return self._fresh.after(seq, limit) or await self.surely(lambda: self._read(seq, limit))

    async def _read(self, seq: int, limit: int) -> list[Row]:
        return self.rows.after(seq, limit)

    async def more(self) -> None:
        """Return when something was added since the last `after`."""
        await self._more.wait()

    async def surely(self, call: Callable[[], Awaitable[Answer]]) -> Answer:
        """Do it; where the disk is full make room, where it is damaged begin anew, and repeat.

        Raises:
            SpoolUnavailable: When the disk refuses even so.
        """
        try:
            return await to_its_end(call())
        except DiskFull:
            await to_its_end(self._make_room())
        except (SpoolDamaged, msgspec.MsgspecError) as error:
            await to_its_end(self._begin_anew(error))
        return await to_its_end(call())

    async def _make_room(self) -> None:
        """Delete everything that was sent: SQLite uses its pages again."""
        if numbers := self.rows.to_delete(self.sent, 0, 0):
            async with self._disk.without_ballast():
                for until in range(numbers.start, self.sent + FREED_AT_ONCE, FREED_AT_ONCE):
                    await self._trim(min(until, self.sent), 0, 0)
                    await self._disk.use_log_again()

    async def _begin_anew(self, error: Exception) -> None:
        await self._disk.begin_anew(error)
        self._facts[HELD] = IN_DOUBT
        async with self._disk.transaction() as writer:
            for name in ("filtered", "duplicates"):
                writer.execute(NOTE, noted(name, str(getattr(self.tally, name))))
            for name, value in (("identity", self.identity), *self._facts.items()):
                writer.execute(NOTE, noted(name, value))
            self.rows.restore(self._fresh.all())  # what is only in memory now
        self.tally = replace(self.tally, complete_until=self._complete_until())
        self._adopt()

    def _adopt(self) -> int:
        """How many rows stand though adding them failed; they are sent like all others."""
        adopted = self.rows.adopt()
        if adopted:
            self._fresh.forget()
        return adopted

    def measures(self) -> dict[str, int]:
        """What a heartbeat tells of the spool; see `Pulse`.

        Raises:
            SpoolUnavailable: When the disk refuses.
        """
        last = self.rows.end.seq
        try:
            first = self.rows.first()
        except msgspec.MsgspecError as error:
            raise SpoolDamaged(str(error)) from error
        used = self._disk.used_bytes()
        return {
            "spool_unsent": max(0, last - self.sent),
            "spool_bytes": used,
            "spool_free_bytes": self._disk.free_bytes(),
            "spool_event_bytes": used // (last - first + 1) if first else 0,
        }

    @property
    def damage(self) -> SpoolUnavailable | None:
        """What was done about the last damage of the file; None where there was none."""
        return self._disk.damage

    async def lift(self, sent: int, position: tuple[int, int]) -> None:
        """See to it that rows after `sent`, and all to come, have ids above a position.

        Args:
            sent: Number up to which rows stand in the stream.
            position: Last (ms, seq) in the stream.

        Raises:
            SpoolUnavailable: When the disk refuses.
        """
        await self.surely(lambda: self._lift(sent, position))

    async def _lift(self, sent: int, position: tuple[int, int]) -> None:
        async with self._disk.transaction():
            if self.rows.lift(sent, position):
                self._fresh.forget()

    async def trim(self, sent: int, older_than_ms: int, max_bytes: int) -> int:
        """Delete old batches that were sent, and younger ones while the file is too large.

        Returns:
            The number of the last event deleted; 0 for none.

        Args:
            sent: Number up to which rows stand in the stream.
            older_than_ms: Rows sent after this time stay; so do those that history gives again.
            max_bytes: What the rows may take on the disk.

        Raises:
            SpoolUnavailable: When the disk refuses.
        """
        if held := self._facts.get(HELD):
            older_than_ms = min(older_than_ms, microseconds(held) // 1000 - OVERLAP_MS)
        gone = await self.surely(lambda: self._trim(sent, older_than_ms, max_bytes))
        self._disk.keep_ballast()
        return gone

    async def _trim(self, sent: int, older_than_ms: int, max_bytes: int) -> int:
        numbers = self.rows.to_delete(sent, older_than_ms, max_bytes)
        for first in numbers[::DELETED_AT_ONCE]:
            until = min(first + DELETED_AT_ONCE, numbers.stop) - 1
            async with self._disk.transaction() as writer:
                await self._disk.in_thread(partial(self.rows.delete, until))
                writer.execute(NOTE, noted(LIVE_UNTIL, self.live_until))
        return numbers.stop - 1 if numbers else 0


@asynccontextmanager
async def open_spool(path: Path) -> AsyncIterator[Spool]:
    """Open a spool, or make it; only one process can have it open.

    Raises:
        SpoolInUse: When another process has it open.
        SpoolUnavailable: When the disk refuses.
    """
    async with open_disk(path) as disk:
        try:
            with translated():
                spool = Spool(disk)
        except (SpoolDamaged, msgspec.MsgspecError) as error:
            await disk.begin_anew(error)
            spool = Spool(disk)
        yield spool

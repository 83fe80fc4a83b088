"""The spool: every event stands on this disk before anything else is done with it."""

import asyncio
import uuid
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, closing, suppress
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Final

import msgspec
from msgspec.structs import replace

from common.bus import Row, Tally
from common.bus.entry import Field
from common.errors import SpoolUnavailable
from common.event import LIVE, SNAPSHOT, Event, microseconds
from ingest.batch import KEEP, events_in, packed, unpacked
from ingest.disk import (
    Answer,
    Disk,
    DiskFull,
    SpoolDamaged,
    open_disk,
    to_its_end,
    translated,
)
from ingest.fact import NOTE, facts_in, noted
from ingest.known import Key, key_of, late_ones, standing

IN_MEMORY: Final = 15_000
"""Unsent rows kept in memory too, so that the sender need not read what was just written."""

IN_MEMORY_BYTES: Final = 16 * 2**20
"""Most bytes of their data: an event can be large."""

READ_AT_ONCE_BYTES: Final = 8 * 2**20
"""Bytes of data after which `after` has read enough."""

IN_ONE_BATCH: Final = 500
"""Most events in one row of the file: it is read as a whole."""

FEW: Final = 16
"""Most events that came together of which those in order need no key of their own."""

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

_REMEMBER_LATEST: Final = """
INSERT INTO latest VALUES (?, ?) ON CONFLICT DO UPDATE SET time = max(time, excluded.time)
"""

_Record = tuple[Event, list[Field]]
"""An event, and the flat fields of the dead letter that it becomes, if it does."""
_NO_LETTER: Final[list[Field]] = []


class Spool:
    """Events on a disk, numbered; opened by `open_spool`.

    Attributes:
        identity: Made with the file; says on the bus which spool writes the stream.
        tally: What was counted since the file was made.
        live_until: Time of the newest event that was heard; empty while there is none.
        sent: Number up to which rows stand in the stream; whoever sends them says so.
    """

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self.sent = 0
        self._last_seq, self._last_ms, self._reach, self._newest = self._last()
        facts = facts_in(disk.ask("SELECT * FROM fact"))
        self._facts = facts
        self.identity: str = facts.get("identity") or str(uuid.uuid4())
        disk.writer.execute(NOTE, noted("identity", self.identity))
        if disk.damage is not None:  # what was not sent may be gone
            facts[HELD] = IN_DOUBT
            disk.writer.execute(NOTE, noted(HELD, IN_DOUBT))
        self.live_until: str = max(facts.get(LIVE_UNTIL, ""), self._newest_live())
        self.tally = Tally(
            int(facts.get("filtered", 0)), int(facts.get("duplicates", 0)), self._complete_until()
        )
        self._fresh: deque[Row] = deque()
        self._fresh_bytes = 0
        self._more = asyncio.Event()

    async def add(
        self,
        events: Sequence[Event],
        unreadable: Sequence[_Record] = (),
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
        unreadable: Sequence[_Record],
        filtered: int,
        now_ms: int,
    ) -> int:
        records: list[_Record] = [
            (event, _NO_LETTER)
            for event in events
            if event.source != SNAPSHOT or self._is_news(event)
        ]
        records += unreadable
        live_until = max((e.time for e in events if e.source == LIVE), default="")
        async with self._disk.transaction():
            adopted = self._adopted()
            rows = self._insert(records, max(now_ms, self._last_ms))
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
        if rows:
            self._last_seq, self._last_ms = rows[-1].seq, rows[-1].ms
            self._newest = max(self._newest, *[row.event.time for row in rows])
            self._reach = self._newest if len(rows) <= FEW else self._reach
            self._fresh.extend(rows)
            self._fresh_bytes += sum([len(row.event.data) for row in rows])
            if len(self._fresh) > IN_MEMORY or self._fresh_bytes > IN_MEMORY_BYTES:
                self._forget()
        self._more.set()
        return new

    def _adopted(self) -> int:
        """How many rows stand that we do not know of; from now on we do.

        Of a commit that failed at its fsync all may stand once the file is opened anew. What it
        was to add is added again, and would be dropped as known without ever being sent.
        """
        last, ms, reach, newest = self._last()
        adopted = max(0, last - self._last_seq)
        if adopted:
            self._last_seq, self._last_ms = last, max(ms, self._last_ms)
            self._reach, self._newest = reach, newest
            self._forget()
        return adopted

    def fact(self, name: str) -> str | None:
        """What was noted under a name."""
        return self._facts.get(name)

    def newest_entities(self, events: int) -> set[str]:
        """Entities of at least so many of the newest events, of those that can be read.

        Raises:
            SpoolUnavailable: When the disk refuses.
        """
        found: set[str] = set()
        with suppress(SpoolDamaged), translated():  # whoever sends or deletes it mends it
            for (blob,) in self._disk.reader.execute("SELECT events FROM batch ORDER BY last DESC"):
                with suppress(msgspec.MsgspecError):
                    decoded = events_in(blob)
                    found.update([event.entity_id for event in decoded])
                    events -= len(decoded)
                if events <= 0:
                    break
        return found

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
        if seq >= self._last_seq:
            return []
        while self._fresh and self._fresh[0].seq <= seq:
            self._fresh_bytes -= len(self._fresh.popleft().event.data)
        if self._fresh and self._fresh[0].seq == seq + 1:
            return list(islice(self._fresh, limit))
        return await self.surely(lambda: self._read(seq, limit))

    async def _read(self, seq: int, limit: int) -> list[Row]:
        rows: list[Row] = []
        size = last = 0
        found = self._disk.each("SELECT * FROM batch WHERE last > ? ORDER BY last", seq)
        with closing(found):
            for batch in found:
                if batch[0] <= last:
                    raise SpoolDamaged("the spool is damaged: its batches are not in order")
                if rows and len(rows) + batch[0] - last > limit:
                    break  # the next call takes it whole: a batch is unpacked once
                last = batch[0]
                rows += (row for row in unpacked(batch) if row.seq > seq)
                size += len(batch[2])
                if len(rows) >= limit or size > READ_AT_ONCE_BYTES:
                    break
        return rows[:limit]

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
        [(first,)] = self._disk.ask("SELECT coalesce(min(last), 0) FROM batch")
        if first <= min(self.sent, self._last_seq - 1):
            async with self._disk.without_ballast():
                for until in range(first, self.sent + FREED_AT_ONCE, FREED_AT_ONCE):
                    await self._trim(min(until, self.sent), 0, 0)
                    await self._disk.use_log_again()

    async def _begin_anew(self, error: Exception) -> None:
        await self._disk.begin_anew(error)
        self._facts[HELD] = IN_DOUBT
        last, ms, reach, _ = self._last()
        async with self._disk.transaction() as writer:
            for name in ("filtered", "duplicates"):
                writer.execute(NOTE, noted(name, str(getattr(self.tally, name))))
            for name, value in (("identity", self.identity), *self._facts.items()):
                writer.execute(NOTE, noted(name, value))
            for row in self._fresh:  # what is only in memory now
                if row.seq > last:
                    writer.execute(KEEP, packed([row], reach))
                    writer.execute("INSERT OR IGNORE INTO once VALUES (?, ?)", key_of(row.event))
        self._last_ms = max(self._last_ms, ms)
        self.tally = replace(self.tally, complete_until=self._complete_until())
        self._adopted()

    def measures(self) -> dict[str, int]:
        """What a heartbeat tells of the spool; see `Pulse`.

        Raises:
            SpoolUnavailable: When the disk refuses.
        """
        batches = self._disk.ask("SELECT * FROM batch ORDER BY last LIMIT 1")
        try:
            rows = self._last_seq - unpacked(batches[0])[0].seq + 1 if batches else 0
        except msgspec.MsgspecError as error:
            raise SpoolDamaged(str(error)) from error
        used = self._disk.used_bytes()
        return {
            "spool_unsent": max(0, self._last_seq - self.sent),
            "spool_bytes": used,
            "spool_free_bytes": self._disk.free_bytes(),
            "spool_event_bytes": used // rows if rows else 0,
        }

    @property
    def last_seq(self) -> int:
        """Number of the last row."""
        return self._last_seq

    @property
    def damage(self) -> SpoolUnavailable | None:
        """What was done about the last damage of the file; None where there was none."""
        return self._disk.damage

    def _last(self) -> tuple[int, int, str, str]:
        """Number and time of the last row, how far it reaches, and the newest time of any event."""
        last = self._disk.ask("SELECT last, ms, reach FROM batch ORDER BY last DESC LIMIT 1")
        [(newest,)] = self._disk.ask("SELECT max(time) FROM once")
        seq, ms, reach = last[0] if last else (0, 0, None)
        return seq, ms, reach or "", max(reach or "", newest or "")

    def _forget(self) -> None:
        self._fresh.clear()
        self._fresh_bytes = 0

    def holds(self, ms: int, seq: int) -> bool:
        """Whether a row has this entry id.

        Raises:
            SpoolUnavailable: When the disk refuses.
        """
        return 0 < seq <= self._last_seq and self._ms_of(seq) == ms

    def numbers_from(self, ms: int, seq: int) -> range:
        """Numbers of the rows whose entry ids are not below this one.

        Raises:
            SpoolUnavailable: When the disk refuses.
        """
        [(below, until)] = self._disk.ask(
            "SELECT (SELECT max(last) FROM batch WHERE ms < ?), "
            "(SELECT max(last) FROM batch WHERE ms <= ?)",
            *(ms, ms),
        )
        first = max((below or 0) + 1, min(seq, (until or 0) + 1))
        return range(first, self._last_seq + 1)

    def newest_event(self, numbers: range) -> Row | None:
        """The last row with one of these numbers that is no letter.

        Raises:
            SpoolUnavailable: When the disk refuses.
        """
        found = self._disk.each(
            "SELECT * FROM batch WHERE last >= ? AND "
            "last <= (SELECT min(last) FROM batch WHERE last >= ?) ORDER BY last DESC",
            *(numbers.start, numbers.stop - 1),
        )
        with closing(found):
            for batch in found:
                for row in reversed(unpacked(batch)):
                    if row.seq in numbers and not row.letter:
                        return row
        return None

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
        ms, seq = position
        async with self._disk.transaction() as writer:
            next_one = "SELECT * FROM batch WHERE last > ? ORDER BY last LIMIT 1"
            batch = writer.execute(next_one, (sent,)).fetchone()
            if batch and (batch[1], sent + 1) <= position:
                kept = [row for row in unpacked(batch) if row.seq <= sent]
                if kept:  # what was sent keeps its ids: its batch becomes two
                    rest = [row for row in unpacked(batch) if row.seq > sent]
                    before = "SELECT reach FROM batch WHERE last < ? ORDER BY last DESC LIMIT 1"
                    (reach,) = writer.execute(before, batch[:1]).fetchone() or ("",)
                    reach = max(reach or "", *[row.event.time for row in kept])
                    most = batch[-1] or ""
                    writer.executemany(KEEP, (packed(kept, min(reach, most)), packed(rest, most)))
                lifted = "UPDATE batch SET ms = ? WHERE last > ? AND ms <= ?"
                writer.execute(lifted, (ms + 1, sent, ms))
                self._last_ms = max(self._last_ms, ms + 1)
                self._forget()
            # Where the stream's number is above ours only a later time is above its last id.
            self._last_ms = max(self._last_ms, ms + (seq > self._last_seq))

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
        [(first,)] = self._disk.ask("SELECT coalesce(min(last), 0) FROM batch")
        # Ends at the first batch that was not sent: while Redis is away all may be old, and many.
        young = self._disk.ask(
            "SELECT last FROM batch WHERE ms >= ? OR last > ? ORDER BY last LIMIT 1",
            *(older_than_ms, sent),
        )
        old = young[0][0] - 1 if young else self._last_seq
        excess = 1 - max_bytes / max(1, self._disk.used_bytes())
        limit = max(old, first - 1 + int((self._last_seq - first + 1) * excess))
        # The last batch stays: it says which number comes next.
        limit = min(limit, sent, self._last_seq - 1)
        [(last,)] = self._disk.ask("SELECT max(last) FROM batch WHERE last <= ?", limit)
        gone = int(last or 0)
        while first <= gone:
            until = min(gone, first + DELETED_AT_ONCE - 1)
            async with self._disk.transaction():
                await self._disk.in_thread(partial(self._delete, until))
            first = until + 1
        return gone

    def _delete(self, until: int) -> None:
        writer = self._disk.writer
        keys: list[tuple[str, str]] = []
        latest: dict[str, str] = {}
        for (blob,) in writer.execute("SELECT events FROM batch WHERE last <= ?", (until,)):
            for event in events_in(blob):
                keys.append((event.time, event.id))
                latest[event.entity_id] = max(event.time, latest.get(event.entity_id, ""))
        latest.pop("", None)
        writer.executemany("DELETE FROM once WHERE time = ? AND id = ?", keys)
        writer.executemany(_REMEMBER_LATEST, latest.items())
        writer.execute(NOTE, noted(LIVE_UNTIL, self.live_until))
        writer.execute("DELETE FROM batch WHERE last <= ?", (until,))

    def _insert(self, records: list[_Record], ms: int) -> list[Row]:
        keys = [key_of(event) for event, _ in records]
        if late := late_ones(keys, self._newest):  # a snapshot, history, a double
            records, late = self._unknown(records, late)
        # A batch of many takes long to look into: then each event has a key of its own.
        are_many = len(records) > FEW
        own = [key_of(event) for event, _ in records] if are_many else late
        self._disk.writer.executemany("INSERT INTO once VALUES (?, ?)", own)
        rows = [
            Row(seq, ms, event, letter)
            for seq, (event, letter) in enumerate(records, self._last_seq + 1)
        ]
        reach = self._reach
        for start in range(0, len(rows), IN_ONE_BATCH):
            some = rows[start : start + IN_ONE_BATCH]
            if not are_many:
                reach = max(reach, *[row.event.time for row in some])
            self._disk.writer.execute(KEEP, packed(some, reach))
        return rows

    def _unknown(self, records: list[_Record], late: list[Key]) -> tuple[list[_Record], list[Key]]:
        """Records that do not stand there yet, each once, and which of their keys are late."""
        known = standing(self._disk.ask, [key for key in late if key[0] <= self._newest])
        new: dict[Key, _Record] = {}
        for record in records:
            key = key_of(record[0])
            if key not in known:
                new.setdefault(key, record)
        return list(new.values()), late_ones(new, self._newest)

    def _newest_live(self) -> str:
        for (blob,) in self._disk.writer.execute("SELECT events FROM batch ORDER BY last DESC"):
            if times := [event.time for event in events_in(blob) if event.source == LIVE]:
                return max(times)
        return ""

    def _is_news(self, event: Event) -> bool:
        """Whether a state of a snapshot is newer than what was deleted of its entity."""
        latest = self._disk.ask("SELECT time FROM latest WHERE entity_id = ?", event.entity_id)
        return not latest or bool(event.time > latest[0][0])

    def _ms_of(self, seq: int) -> int:
        """First part of the entry id of an event, or of the first after it; 0 where none is."""
        found = self._disk.ask("SELECT ms FROM batch WHERE last >= ? ORDER BY last LIMIT 1", seq)
        return found[0][0] if found else 0


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

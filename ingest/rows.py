"""The rows of the spool's file: numbered without a hole, each event once."""

from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from typing import Final, NamedTuple

import msgspec

from common.bus import Row
from common.bus.entry import Field
from common.event import LIVE, Event
from ingest.batch import KEEP, READ, events_in, packed, plain, unpacked
from ingest.disk import Disk, SpoolDamaged
from ingest.known import Key, key_of, late_ones, standing

READ_AT_ONCE_BYTES: Final = 8 * 2**20
"""Bytes of data after which `after` has read enough."""

IN_ONE_BATCH: Final = 500
"""Most events in one row of the file: it is read as a whole."""

Record = tuple[Event, list[Field]]
"""An event, and the flat fields of the dead letter that it becomes, if it does."""

_REMEMBER_LATEST: Final = """
INSERT INTO latest VALUES (?, ?) ON CONFLICT DO UPDATE SET time = max(time, excluded.time)
"""


class End(NamedTuple):
    """Where the rows end.

    Attributes:
        seq: Number of the last row; 0 for none.
        ms: First part of its entry id.
        newest: Newest time of any event.
    """

    seq: int
    ms: int
    newest: str


class Rows:
    """Rows on a disk. Who changes them is within a transaction of it.

    Every method raises `SpoolUnavailable` when the disk refuses, and `msgspec.MsgspecError` when a
    batch is not what was written.

    Args:
        disk: Where they are.

    Attributes:
        end: Where they end, as far as the owner knows: they may go on, see `adopt`.
    """

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self.end = self._end()

    def _end(self) -> End:
        last = self._disk.ask("SELECT last, ms, reach FROM batch ORDER BY last DESC LIMIT 1")
        [(late,)] = self._disk.ask("SELECT max(time) FROM once")  # all that a saved file has
        seq, ms, reach = last[0] if last else (0, 0, None)
        return End(seq, plain(ms, int), max(plain(reach or "", str), plain(late or "", str)))

    def insert(self, records: list[Record], now_ms: int) -> list[Row]:
        """Put those on the disk that do not stand there yet; they count with `inserted`.

        Args:
            records: In the order in which they came.
            now_ms: Milliseconds since 1970; ids grow even when this clock does not.
        """
        keys = [key_of(event) for event, _ in records]
        if late := late_ones(keys, self.end.newest):  # a snapshot, history, a double
            records, late = self._unknown(records, late)
        self._disk.writer.executemany("INSERT INTO once VALUES (?, ?)", late)
        ms = max(now_ms, self.end.ms)
        rows = [
            Row(seq, ms, event, letter)
            for seq, (event, letter) in enumerate(records, self.end.seq + 1)
        ]
        reach = self.end.newest
        for start in range(0, len(rows), IN_ONE_BATCH):
            some = rows[start : start + IN_ONE_BATCH]
            reach = max(reach, *[row.event.time for row in some])
            self._disk.writer.execute(KEEP, packed(some, reach))
        return rows

    def _unknown(self, records: list[Record], late: list[Key]) -> tuple[list[Record], list[Key]]:
        """Records that do not stand there yet, each once, and which of their keys are late."""
        newest = self.end.newest
        known = standing(self._disk.ask, [key for key in late if key[0] <= newest])
        new: dict[Key, Record] = {}
        for record in records:
            key = key_of(record[0])
            if key not in known:
                new.setdefault(key, record)
        return list(new.values()), late_ones(new, newest)

    def inserted(self, rows: list[Row]) -> None:
        """Say that what `insert` gave is committed."""
        if rows:
            newest = max(self.end.newest, *[row.event.time for row in rows])
            self.end = End(rows[-1].seq, rows[-1].ms, newest)

    def adopt(self) -> int:
        """How many rows stand that the owner does not know of; from now on it does.

        Of a commit that failed at its fsync all may stand once the file is opened anew. What it
        was to add is added again, and would be dropped as known without ever being sent.
        """
        end = self._end()
        adopted = max(0, end.seq - self.end.seq)
        if adopted:
            self.end = end._replace(ms=max(end.ms, self.end.ms))
        return adopted

    def restore(self, rows: Iterable[Row]) -> None:
        """Put rows on the disk again that stand beyond its end, which was damaged."""
        end = self._end()
        for row in rows:
            if row.seq > end.seq:
                self._disk.writer.execute(KEEP, packed([row], end.newest))
                self._disk.writer.execute(
                    "INSERT OR IGNORE INTO once VALUES (?, ?)", key_of(row.event)
                )
        self.end = self.end._replace(ms=max(self.end.ms, end.ms))

    def lift(self, sent: int, position: tuple[int, int]) -> bool:
        """See to it that rows after `sent`, and all to come, have ids above a position.

        Args:
            sent: Number up to which rows stand in the stream.
            position: Last (ms, seq) in the stream.

        Returns:
            Whether a row has another id now.
        """
        ms, seq = position
        writer = self._disk.writer
        next_one = f"{READ} WHERE last > ? ORDER BY last LIMIT 1"
        batch = writer.execute(next_one, (sent,)).fetchone()
        is_below = bool(batch) and (plain(batch[1], int), sent + 1) <= position
        if is_below:
            kept = [row for row in unpacked(batch) if row.seq <= sent]
            if kept:  # what was sent keeps its ids: its batch becomes two
                rest = [row for row in unpacked(batch) if row.seq > sent]
                before = "SELECT reach FROM batch WHERE last < ? ORDER BY last DESC LIMIT 1"
                (reach,) = writer.execute(before, batch[:1]).fetchone() or ("",)
                reach = max(plain(reach or "", str), *[row.event.time for row in kept])
                most = plain(batch[4] or "", str)
                writer.executemany(KEEP, (packed(kept, min(reach, most)), packed(rest, most)))
            lifted = "UPDATE batch SET ms = ? WHERE last > ? AND ms <= ?"
            writer.execute(lifted, (ms + 1, sent, ms))
        # Where the stream's number is above ours only a later time is above its last id.
        least = ms + (is_below or seq > self.end.seq)
        self.end = self.end._replace(ms=max(self.end.ms, least))
        return is_below

    def after(self, seq: int, limit: int) -> list[Row]:
        """Rows that follow a number, in order.

        Raises:
            SpoolDamaged: When they are not in order.
        """
        rows: list[Row] = []
        size = last = 0
        found = self._disk.each(f"{READ} WHERE last > ? ORDER BY last", seq)
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

    def first(self) -> int:
        """Number of the first row; 0 for none."""
        batches = self._disk.ask(f"{READ} ORDER BY last LIMIT 1")
        return unpacked(batches[0])[0].seq if batches else 0

    def holds(self, ms: int, seq: int) -> bool:
        """Whether a row has this entry id."""
        if not 0 < seq <= self.end.seq:
            return False
        found = self._disk.ask("SELECT ms FROM batch WHERE last >= ? ORDER BY last LIMIT 1", seq)
        return bool(found) and found[0][0] == ms

    def numbers_from(self, ms: int, seq: int) -> range:
        """Numbers of the rows whose entry ids are not below this one."""
        [(below, until)] = self._disk.ask(
            "SELECT (SELECT max(last) FROM batch WHERE ms < ?), "
            "(SELECT max(last) FROM batch WHERE ms <= ?)",
            *(ms, ms),
        )
        first = max((below or 0) + 1, min(seq, (until or 0) + 1))
        return range(first, self.end.seq + 1)

    def newest_event(self, numbers: range) -> Row | None:
        """The last row with one of these numbers that is no letter."""
        found = self._disk.each(
            f"{READ} WHERE last >= ? AND "  # noqa: S608 - a constant of ours
            "last <= (SELECT min(last) FROM batch WHERE last >= ?) ORDER BY last DESC",
            *(numbers.start, numbers.stop - 1),
        )
        with closing(found):
            for batch in found:
                for row in reversed(unpacked(batch)):
                    if row.seq in numbers and not row.letter:
                        return row
        return None

    def newest_live(self) -> str:
        """Time of the newest event that came live; empty for none."""
        found = self._disk.each("SELECT events FROM batch ORDER BY last DESC")
        with closing(found):
            for (blob,) in found:
                if times := [event.time for event in events_in(blob) if event.source == LIVE]:
                    return max(times)
        return ""

    def newest(self, events: int) -> Iterator[tuple[int, list[Event]]]:
        """At least so many of the newest events, of those that can be read.

        Yields:
            Number of the last one, and events that came together; the newest first.
        """
        found = self._disk.each("SELECT last, events FROM batch ORDER BY last DESC")
        with closing(found), suppress(SpoolDamaged):  # whoever sends or deletes it mends it
            for last, blob in found:
                if events <= 0:
                    break
                with suppress(msgspec.MsgspecError):
                    decoded = events_in(blob)
                    events -= len(decoded)
                    yield last, decoded

    def is_news(self, event: Event) -> bool:
        """Whether a state of a snapshot is newer than what was deleted of its entity."""
        latest = self._disk.ask("SELECT time FROM latest WHERE entity_id = ?", event.entity_id)
        return not latest or event.time > plain(latest[0][0], str)

    def to_delete(self, sent: int, older_than_ms: int, max_bytes: int) -> range:
        """Numbers of old rows that were sent, and of younger ones while they take too much.

        Args:
            sent: Number up to which rows stand in the stream.
            older_than_ms: Rows from this time on stay.
            max_bytes: What the rows may take on the disk.
        """
        [(first,)] = self._disk.ask("SELECT coalesce(min(last), 1) FROM batch")
        # Ends at the first batch that was not sent: while Redis is away all may be old, and many.
        young = self._disk.ask(
            "SELECT last FROM batch WHERE ms >= ? OR last > ? ORDER BY last LIMIT 1",
            *(older_than_ms, sent),
        )
        old = young[0][0] - 1 if young else self.end.seq
        excess = 1 - max_bytes / max(1, self._disk.used_bytes())
        limit = max(old, first - 1 + int((self.end.seq - first + 1) * excess))
        # The last batch stays: it says which number comes next.
        limit = min(limit, sent, self.end.seq - 1)
        [(last,)] = self._disk.ask(
            "SELECT coalesce(max(last), 0) FROM batch WHERE last <= ?", limit
        )
        return range(first, last + 1)

    def delete(self, until: int) -> None:
        """Delete whole batches up to a number; of each entity the newest time is remembered."""
        writer = self._disk.writer
        keys: list[Key] = []
        latest: dict[str, str] = {}
        for (blob,) in writer.execute("SELECT events FROM batch WHERE last <= ?", (until,)):
            for event in events_in(blob):
                keys.append(key_of(event))
                latest[event.entity_id] = max(event.time, latest.get(event.entity_id, ""))
        latest.pop("", None)
        writer.executemany("DELETE FROM once WHERE time = ? AND id = ?", keys)
        writer.executemany(_REMEMBER_LATEST, latest.items())
        writer.execute("DELETE FROM batch WHERE last <= ?", (until,))

"""The spool: every event stands on this disk before anything else is done with it."""

import asyncio
import fcntl
import sqlite3
import uuid
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager, contextmanager
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from common.bus import Row, Tally
from common.bus.entry import Field
from common.errors import SpoolInUse, SpoolUnavailable
from common.event import LIVE, SNAPSHOT, Event

IN_MEMORY: Final = 5_000
"""Unsent rows kept in memory too, so that the sender need not read what was just written."""

DELETED_AT_ONCE: Final = 2_000
"""Most rows deleted in one transaction: the next event waits for it."""

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS event (
    seq INTEGER PRIMARY KEY, -- dense, from 1; second part of the entry id
    ms INTEGER NOT NULL,     -- first part of the entry id; never falls
    time TEXT NOT NULL,
    id TEXT NOT NULL,
    entity_id TEXT NOT NULL,
    event BLOB NOT NULL,     -- MessagePack
    letter BLOB              -- MessagePack: the dead letter of what cannot be read
);
-- Time first: new events come to the end of the index, whatever their ids are.
CREATE UNIQUE INDEX IF NOT EXISTS once ON event (time, id);
CREATE TABLE IF NOT EXISTS latest ( -- of deleted events: when each entity last changed
    entity_id TEXT PRIMARY KEY,
    time TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS fact (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""
_INSERT: Final = "INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?)"
_REMEMBER_LATEST: Final = """
INSERT INTO latest SELECT entity_id, max(time) FROM event
WHERE seq <= ? AND entity_id != '' GROUP BY entity_id
ON CONFLICT DO UPDATE SET time = max(time, excluded.time)
"""

_encode = msgspec.msgpack.Encoder().encode
_decode_event = msgspec.msgpack.Decoder(Event).decode
_decode_letter = msgspec.msgpack.Decoder(list).decode
_Answer = TypeVar("_Answer")
_Record = tuple[Event, list[Field]]
"""An event, and the flat fields of the dead letter that it becomes, if it does."""


class Spool:
    """A SQLite file (WAL, `synchronous=FULL`); opened by `open_spool`.

    Inserting runs in the event loop and only the commit in a thread: a thread that steps row by
    row would fight the loop for the interpreter at every row.

    Attributes:
        identity: Made with the file; says on the bus which spool writes the stream.
        tally: What was counted since the file was made.
    """

    def __init__(self, path: Path, thread: ThreadPoolExecutor) -> None:
        self._thread = thread
        self._writing = asyncio.Lock()
        self._more = asyncio.Event()
        self._writer = _open(path)
        self._writer.executescript(_SCHEMA)
        self._reader = _open(path)
        last = self._writer.execute("SELECT seq, ms FROM event ORDER BY seq DESC LIMIT 1")
        self._last_seq: int
        self._last_ms: int
        self._last_seq, self._last_ms = last.fetchone() or (0, 0)
        facts = dict(self._writer.execute("SELECT name, value FROM fact"))
        self.identity: str = facts.get("identity") or str(uuid.uuid4())
        self.tally = Tally(
            int(facts.get("filtered", 0)),
            int(facts.get("duplicates", 0)),
            self._newest_live(),
        )
        self._fresh: deque[Row] = deque()
        self._writer.execute("BEGIN IMMEDIATE")
        self._note("identity", self.identity)
        self._writer.execute("COMMIT")

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
        return await _to_its_end(self._add(events, unreadable, filtered, now_ms))

    async def _add(
        self,
        events: Sequence[Event],
        unreadable: Sequence[_Record],
        filtered: int,
        now_ms: int,
    ) -> int:
        records: list[_Record] = [
            (event, []) for event in events if event.source != SNAPSHOT or self._is_news(event)
        ]
        records += unreadable
        live_until = max((e.time for e in events if e.source == LIVE), default="")
        async with self._writing, self._durable():
            rows = self._insert(records, max(now_ms, self._last_ms))
            known = len(events) + len(unreadable) - len(rows)
            tally = Tally(
                self.tally.filtered + filtered,
                self.tally.duplicates + known,
                max(self.tally.complete_until, live_until),
            )
            for name in ("filtered", "duplicates"):
                if getattr(tally, name) != getattr(self.tally, name):
                    self._note(name, str(getattr(tally, name)))
        self.tally = tally
        if rows:
            self._last_seq, self._last_ms = rows[-1].seq, rows[-1].ms
            self._fresh.extend(rows)
            if len(self._fresh) > IN_MEMORY:
                self._fresh.clear()
        self._more.set()
        return len(rows)

    async def after(self, seq: int, limit: int) -> list[Row]:
        """Rows that follow a number, in order; from memory when they are new.

        Raises:
            SpoolUnavailable: When the disk refuses.
        """
        self._more.clear()
        if seq >= self._last_seq:
            return []
        while self._fresh and self._fresh[0].seq <= seq:
            self._fresh.popleft()
        if self._fresh and self._fresh[0].seq == seq + 1:
            return list(islice(self._fresh, limit))
        with _translated():
            found = self._reader.execute(
                "SELECT seq, ms, event, letter FROM event WHERE seq > ? ORDER BY seq LIMIT ?",
                (seq, limit),
            ).fetchall()
        return [
            Row(number, ms, _decode_event(event), _decode_letter(letter) if letter else [])
            for number, ms, event, letter in found
        ]

    async def more(self) -> None:
        """Return when something was added since the last `after`."""
        await self._more.wait()

    async def follow(self, position: tuple[int, int], *, ours: bool) -> int:
        """Return the number after which rows are to be sent to a stream.

        Args:
            position: Last (ms, seq) in the stream.
            ours: Whether this spool is known to have written it. Where it did not, all rows
                are to be sent, and their ids are made larger than the stream's last one.

        Raises:
            SpoolUnavailable: When the disk refuses.
        """
        ms, seq = position
        if ours or self._holds(ms, seq):
            with _translated():
                (found,) = self._reader.execute(
                    "SELECT max(seq) FROM event WHERE seq <= ? AND ms <= ?", (seq, ms)
                ).fetchone()
            # Where the stream's number is above ours only a later time is above its last id.
            self._last_ms = max(self._last_ms, ms + (seq > self._last_seq))
            return int(found or 0)
        async with self._writing, self._durable():
            self._writer.execute("UPDATE event SET ms = ? WHERE ms <= ?", (ms + 1, ms))
        self._last_ms = max(self._last_ms, ms + 1)
        self._fresh.clear()
        return 0

    async def trim(self, sent: int, older_than_ms: int, max_bytes: int) -> int:
        """Delete old rows that were sent, and younger ones while the file is too large.

        Args:
            sent: Number up to which rows stand in the stream.
            older_than_ms: Rows sent after this time stay.
            max_bytes: What the rows may take on the disk.

        Raises:
            SpoolUnavailable: When the disk refuses.
        """
        with _translated():
            first = self._reader.execute("SELECT min(seq) FROM event").fetchone()[0] or 0
            young = self._reader.execute(
                "SELECT seq FROM event WHERE ms >= ? ORDER BY seq LIMIT 1", (older_than_ms,)
            ).fetchone()
            excess = 1 - max_bytes / max(1, self._used_bytes())
        old = young[0] - 1 if young else self._last_seq
        limit = max(old, first - 1 + int((self._last_seq - first + 1) * excess))
        # The last row stays: it says which number comes next.
        limit = min(limit, sent, self._last_seq - 1)
        while first <= limit:
            until = min(limit, first + DELETED_AT_ONCE - 1)
            async with self._writing, self._durable():
                await self._in_thread(partial(self._delete, until))
            first = until + 1
        return max(0, limit)

    def _delete(self, until: int) -> None:
        self._writer.execute(_REMEMBER_LATEST, (until,))
        self._writer.execute("DELETE FROM event WHERE seq <= ?", (until,))

    def _insert(self, records: list[_Record], ms: int) -> list[Row]:
        try:
            return self._number(records, ms)
        except sqlite3.IntegrityError:  # some came before: a snapshot, history, a double
            self._writer.execute("ROLLBACK")
            self._writer.execute("BEGIN IMMEDIATE")
            return self._number(self._unknown(records), ms)

    def _number(self, records: list[_Record], ms: int) -> list[Row]:
        rows: list[Row] = []
        values: list[tuple[object, ...]] = []
        for seq, (event, letter) in enumerate(records, self._last_seq + 1):
            rows.append(Row(seq, ms, event, letter))
            packed = _encode(letter) if letter else None
            values.append((seq, ms, event.time, event.id, event.entity_id, _encode(event), packed))
        self._writer.executemany(_INSERT, values)
        return rows

    def _unknown(self, records: list[_Record]) -> list[_Record]:
        new: dict[tuple[str, str], _Record] = {}
        for record in records:
            key = (record[0].time, record[0].id)
            known = self._writer.execute("SELECT 1 FROM event WHERE time = ? AND id = ?", key)
            if known.fetchone() is None:
                new.setdefault(key, record)
        return list(new.values())

    def _newest_live(self) -> str:
        for (blob,) in self._writer.execute("SELECT event FROM event ORDER BY time DESC"):
            if (event := _decode_event(blob)).source == LIVE:
                return event.time
        return ""

    def _is_news(self, event: Event) -> bool:
        """Whether a state of a snapshot is newer than what was deleted of its entity."""
        with _translated():
            latest = self._reader.execute(
                "SELECT time FROM latest WHERE entity_id = ?", (event.entity_id,)
            ).fetchone()
        return latest is None or event.time > latest[0]

    def _holds(self, ms: int, seq: int) -> bool:
        with _translated():
            found = self._reader.execute("SELECT ms FROM event WHERE seq = ?", (seq,)).fetchone()
        return bool(found == (ms,))

    def _note(self, name: str, value: str) -> None:
        self._writer.execute("INSERT OR REPLACE INTO fact VALUES (?, ?)", (name, value))

    def _used_bytes(self) -> int:
        pages, free, size = (
            self._reader.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("page_count", "freelist_count", "page_size")
        )
        return int((pages - free) * size)

    @asynccontextmanager
    async def _durable(self) -> AsyncIterator[None]:
        """A transaction: on the disk when it ends, or not begun."""
        with _translated():
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield
                await self._in_thread(lambda: self._writer.execute("COMMIT"))
            except BaseException:
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                raise

    async def _in_thread(self, call: Callable[[], _Answer]) -> _Answer:
        return await _to_its_end(asyncio.get_running_loop().run_in_executor(self._thread, call))

    def close(self) -> None:
        """Let go of the file, when the thread is done with it."""
        self._thread.shutdown()
        self._reader.close()
        self._writer.close()


async def _to_its_end(work: Awaitable[_Answer]) -> _Answer:
    """Wait for work even when we are cancelled: it holds the connection."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        if not task.cancelled():
            task.exception()
        raise


@asynccontextmanager
async def open_spool(path: Path) -> AsyncIterator[Spool]:
    """Open a spool, or make it; only one process can have it open.

    Raises:
        SpoolInUse: When another process has it open.
        SpoolUnavailable: When the disk refuses.
    """
    with ExitStack() as held:
        with _translated():
            held.enter_context(_locked(path))
            thread = held.enter_context(ThreadPoolExecutor(1, "spool"))
            spool = Spool(path, thread)
        held.callback(spool.close)
        yield spool


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(path.name + ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            message = (
                f"another ingest has the spool {path} open: stop it, "
                "or give this one a file of its own with INGEST_SPOOL_PATH"
            )
            raise SpoolInUse(message) from error
        yield


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (sqlite3.OperationalError, OSError) as error:
        message = f"the spool cannot be written: {error}; free space, or check INGEST_SPOOL_PATH"
        raise SpoolUnavailable(message) from error


def _open(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA cache_size = -8000")
    return connection

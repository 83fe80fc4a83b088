"""The sink that is a file: SQLite, to be read by hand with `sqlite3`."""

import asyncio
import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import TypeVar

import msgspec

from common.errors import MalformedEvent, SinkUnavailable
from common.event import STATE_CHANGED, Event, format_time
from common.lifecycle import to_its_end
from common.sink.line import data_of, is_number, known_of, measurement_of, shortest, timestamp
from common.sink.promise import StoredEvent

Row = tuple[str | float | bool | None, ...]
"""The columns of one event, in the order of `_COLUMNS`."""

T = TypeVar("T")

_COLUMNS = (
    *("time", "entity_id", "state", "value", "available", "unit", "device_class"),
    *("friendly_name", "area", "device", "previous_duration_s"),
    *("measurement", "event_type", "source", "id", "data"),
)

# One row for each id; and, as in InfluxDB, one for each series and time.
_SCHEMA = """
CREATE TABLE IF NOT EXISTS events (
    time TEXT NOT NULL,
    entity_id TEXT NOT NULL,
    state TEXT,
    value REAL,
    available INTEGER,
    unit TEXT,
    device_class TEXT,
    friendly_name TEXT,
    area TEXT,
    device TEXT,
    previous_duration_s REAL,
    measurement TEXT NOT NULL,
    event_type TEXT NOT NULL,
    source TEXT NOT NULL,
    id TEXT PRIMARY KEY,
    data TEXT NOT NULL,
    UNIQUE (entity_id, time, measurement, event_type)
);
CREATE INDEX IF NOT EXISTS events_by_time ON events (time);
"""

_INSERT = (
    f"INSERT OR REPLACE INTO events ({', '.join(_COLUMNS)})"  # noqa: S608 - our own names
    f" VALUES ({', '.join('?' * len(_COLUMNS))})"
)

_SELECT = (
    f"SELECT {', '.join(_COLUMNS)} FROM events"  # noqa: S608 - our own names
    " WHERE time >= ? AND time < ?"
)

_BUSY_S = 5.0
"""Seconds to wait for another program that writes."""

_FOLDER = "make its folder, and make it writable, or set another path"

_NOT_THERE = "there is no such file"

_ADVICE = (
    (_NOT_THERE, "store makes it at its start; is it the path that store has?"),
    ("full", "free some space"),
    ("locked", "another program writes to it; end that one"),
    ("readonly", "make it writable"),
    ("No space", "free some space"),
    ("unable to open", _FOLDER),
    ("not a database", "move that file away"),
    ("malformed", "move that file away; `sqlite3 FILE .recover` may save what is in it"),
)


class SqliteSink:
    """Keeps events in one file, in write-ahead mode; a commit is on disk before it counts.

    Args:
        path: The file.
        is_made: Whether it and its folder are made where they are not there; who only reads
            would make an empty one where the path is wrong.
    """

    def __init__(self, path: Path, *, is_made: bool = True) -> None:
        self._path = path
        self._is_made = is_made
        self._db: sqlite3.Connection | None = None
        self._identity: tuple[int, int] | None = None
        self._lock = asyncio.Lock()

    async def check(self) -> str:
        """Return one line about the file; it is writable.

        Raises:
            SinkUnavailable: The message says what to change.
        """
        async with self._lock:
            db = await to_its_end(asyncio.to_thread(self._begin))
            with self._plainly():
                db.rollback()
        return f"SQLite {sqlite3.sqlite_version}, file {self._path}"

    def point(self, event: Event) -> Row:
        """Turn an enriched event into a row.

        Raises:
            PointRejected: When its time is beyond what InfluxDB keeps, too.
            MalformedEvent: When its data is no enriched event, or its time no time.
        """
        known = known_of(event.data)
        timestamp(event)
        try:
            data = event.data.decode()
        except UnicodeDecodeError as error:
            raise MalformedEvent(f"not an enriched event: {error}") from error
        return (
            event.time,
            event.entity_id,
            known.state,
            known.value,
            known.available if event.type == STATE_CHANGED else None,
            known.unit,
            known.device_class,
            known.friendly_name,
            known.area,
            known.device,
            known.previous_duration_s,
            measurement_of(event, known),
            event.type,
            event.source,
            event.id,
            data,
        )

    async def write(self, points: Sequence[Row]) -> None:
        """Store all rows in one transaction; when this returns, every one of them stands.

        Raises:
            SinkUnavailable: When the file cannot take them; nothing of them stands.
        """
        if not points:
            return
        async with self._lock:
            db = await to_its_end(asyncio.to_thread(self._begin))
            with self._plainly():
                try:
                    # Here and not in the thread: one that steps row by row fights for the GIL.
                    db.executemany(_INSERT, points)
                    await to_its_end(asyncio.to_thread(db.commit))
                except sqlite3.Error:
                    db.rollback()
                    raise

    async def prove(self, points: Sequence[Row]) -> None:  # noqa: ARG002 - all are in one file
        """Open and close a transaction: whether the file can be written.

        Raises:
            SinkUnavailable: When it cannot.
        """
        await self.check()

    async def events(
        self, start: datetime, end: datetime, entity_id: str | None = None, limit: int = 100
    ) -> list[StoredEvent]:
        """The newest `limit` events with start ≤ time < end, newest first.

        Raises:
            SinkUnavailable: When the file cannot be read.
        """
        where, who = ("", ()) if entity_id is None else (" AND entity_id = ?", (entity_id,))
        ask = f"{_SELECT}{where} ORDER BY time DESC LIMIT ?"
        return await self._read(ask, (format_time(start), format_time(end), *who, limit))

    async def history(
        self, entity_id: str, start: datetime, end: datetime, limit: int = 1000
    ) -> list[StoredEvent]:
        """The first `limit` events of one entity with start ≤ time < end, oldest first.

        Raises:
            SinkUnavailable: When the file cannot be read.
        """
        ask = f"{_SELECT} AND entity_id = ? ORDER BY time LIMIT ?"
        return await self._read(ask, (format_time(start), format_time(end), entity_id, limit))

    async def close(self) -> None:
        """Let go of the file."""
        async with self._lock:
            if self._db is not None:
                db, self._db = self._db, None
                await to_its_end(asyncio.to_thread(db.close))

    def _begin(self) -> sqlite3.Connection:
        """Open a transaction; open the file where that is still to do, or it was replaced."""
        with self._plainly():
            if self._db is not None and self._identity != _identity(self._path):
                self._db.close()
                self._db = None
            if self._db is None:
                self._db = self._open()
                self._identity = _identity(self._path)
            self._db.rollback()  # what a cancelled write left open
            self._db.execute("BEGIN IMMEDIATE")
            return self._db

    def _open(self) -> sqlite3.Connection:
        if self._is_made:
            self._path.parent.mkdir(parents=True, exist_ok=True)
        elif not self._path.exists():
            raise FileNotFoundError(_NOT_THERE)
        db = sqlite3.connect(
            self._path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False
        )
        try:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = FULL")
            db.executescript(_SCHEMA)
        except sqlite3.Error:
            db.close()
            raise
        return db

    async def _read(self, ask: str, values: tuple[str | int, ...]) -> list[StoredEvent]:
        def rows() -> list[Row]:
            with self._plainly(), contextlib.closing(self._open()) as db:
                return db.execute(ask, values).fetchall()

        return [_stored(row) for row in await asyncio.to_thread(rows)]

    @contextlib.contextmanager
    def _plainly(self) -> Iterator[None]:
        """Turn SQLite's errors into ours, with what to do."""
        try:
            yield
        except (sqlite3.DatabaseError, OSError) as error:
            if isinstance(error, sqlite3.ProgrammingError):  # ours, and waiting does not help
                raise
            said = str(error)
            other = _FOLDER if isinstance(error, OSError) else ""
            advice = next((do for sign, do in _ADVICE if sign in said), other)
            raise SinkUnavailable(
                f"the file {self._path} (STORE_SQLITE_PATH): {said}{advice and '; '}{advice}"
            ) from error


def _stored(row: Row) -> StoredEvent:
    column = dict(zip(_COLUMNS, row, strict=True))
    is_change = column["event_type"] == STATE_CHANGED
    state, value, available = column["state"], column["value"], column["available"]
    if isinstance(state, str) and isinstance(value, float) and is_number(state):
        state = shortest(value)
    event_type, data = column.pop("event_type"), str(column.pop("data"))
    return msgspec.convert(
        {
            **column,
            "entity_id": column["entity_id"] or None,
            "state": state,
            "available": None if available is None else bool(available),
            "event_type": None if is_change else event_type,
            "data": None if is_change else data_of(data.encode()).decode(),
        },
        StoredEvent,
    )


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino

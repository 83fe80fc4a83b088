"""What can still be read in a damaged file of the spool."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Final

import msgspec

from common.errors import MalformedEvent
from common.event import normal_time, time_of
from ingest import fact
from ingest.batch import KEEP, SCHEMA, packed, unpacked

ENDINGS: Final = ("", "-wal", "-shm")
"""SQLite's files beside each other."""

LOOKED_FOR: Final = 200_000
"""Numbers that are tried one by one after damage until the next batch can be read."""


def set_aside(path: Path) -> Path:
    """Rename a damaged file, and what SQLite keeps beside it; return its new name.

    Raises:
        OSError: When the disk refuses.
    """
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    aside = path.with_name(f"{path.name}.corrupt-{stamp}")
    while aside.exists():
        aside = aside.with_name(aside.name + "-again")
    for ending in reversed(ENDINGS):  # the log first: alone it says nothing about a new file
        with suppress(FileNotFoundError):
            Path(f"{path}{ending}").rename(f"{aside}{ending}")
    return aside


def save(aside: Path, path: Path) -> int:
    """Copy what can be read of a damaged file into a new one; return how many events.

    Raises:
        sqlite3.Error: When the new file cannot be written.
    """
    saved = 0
    with (
        closing(sqlite3.connect(aside, isolation_level=None)) as old,
        closing(sqlite3.connect(path, isolation_level=None)) as new,
    ):
        new.executescript(SCHEMA + fact.SCHEMA)
        new.execute("BEGIN")
        facts = fact.readable_facts(_readable(old, "SELECT * FROM fact"))
        new.executemany(fact.NOTE, [fact.noted(*each) for each in facts.items()])
        latest = filter(_is_latest, _readable(old, "SELECT * FROM latest"))
        new.executemany("INSERT OR IGNORE INTO latest VALUES (?, ?)", latest)
        for batch in _batches(old):
            try:
                rows = unpacked(batch)
            except (msgspec.MsgspecError, TypeError, ValueError):
                continue
            new.execute(KEEP, packed(rows, ""))  # all their keys stand in `once`
            keys = [(row.event.time, row.event.id) for row in rows]
            new.executemany("INSERT OR IGNORE INTO once VALUES (?, ?)", keys)
            saved += len(rows)
        new.execute("COMMIT")
    return saved


def _readable(old: sqlite3.Connection, question: str) -> Iterator[tuple[object, ...]]:
    with suppress(sqlite3.DatabaseError):
        yield from old.execute(question)


def _is_latest(row: tuple[object, ...]) -> bool:
    """Whether the time is one, and not ahead: then no state before it would be news."""
    now = time_of(time.time_ns() // 1000)
    match row:
        case (str(), str(moment)):
            with suppress(MalformedEvent):
                return moment == normal_time(moment) <= now
    return False


def _batches(old: sqlite3.Connection) -> Iterator[tuple[Any, ...]]:
    """Every batch that can be read: after damage the next number is tried, and the next."""
    last, tried = 0, 0
    # An older habus has no other columns.
    next_one = "SELECT last, ms, events, letters FROM batch WHERE last > ? ORDER BY last LIMIT 1"
    while tried < LOOKED_FOR:
        try:
            batch = old.execute(next_one, (last,)).fetchone()
        except sqlite3.DatabaseError as error:
            # Python's own errors, of a text that is no UTF-8, have no code.
            if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_NOTADB:
                return
            last, tried = last + 1, tried + 1
            continue
        if batch is None:
            return
        if batch[0] <= last:  # a page that stands where another should
            last, tried = last + 1, tried + 1
            continue
        last, tried = batch[0], 0
        yield batch

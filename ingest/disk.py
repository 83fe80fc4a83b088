"""The file under the spool: one process has it open, and what it commits survives a power cut."""

import asyncio
import errno
import fcntl
import os
import shutil
import sqlite3
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

from common.errors import SpoolInUse, SpoolUnavailable
from common.lifecycle import to_its_end
from common.logs import logger
from ingest import batch, fact
from ingest.salvage import save, set_aside

Answer = TypeVar("Answer")
BALLAST_BYTES: Final = 4 * 2**20
"""Size of the file that is given up when the disk is full."""

CHECKED_BYTES: Final = 256 * 2**20
"""Largest file that is read through after a kill: a slow disk takes some seconds for it."""

_OF_DAMAGE: Final = ("Could not decode to UTF-8", "unsupported file format")
"""Errors without a result code of their own that only a damaged file has."""

log = logger(__name__)


class DiskFull(SpoolUnavailable):
    """There is no space left; with some made, do the same again."""


class SpoolDamaged(SpoolUnavailable):
    """The file is no longer what SQLite wrote."""


class Disk:
    """A SQLite file (WAL, `synchronous=FULL`); opened by `open_disk`.

    Statements run in the event loop and only commits, and what is long, in a thread: a thread
    that steps row by row would fight the loop for the interpreter at every row.

    Attributes:
        writer: For use within `transaction`.
        reader: Sees what is committed, also while a transaction is under way.
        damage: What was done about the last damage; None where there was none.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._ballast = path.with_name(path.name + ".ballast")
        self._writing = asyncio.Lock()
        self._thread = ThreadPoolExecutor(1, "spool")
        self._is_open = False
        self.damage: SpoolDamaged | None = None

    def open(self) -> None:
        """Open the file, or make it; what is damaged is set aside, and what is readable saved.

        Raises:
            SpoolUnavailable: When the disk refuses.
        """
        was_killed = self._path.with_name(self._path.name + "-wal").exists()
        try:
            self._connect()
            if was_killed and self._path.stat().st_size <= CHECKED_BYTES:
                self._check()
        except SpoolDamaged as error:
            self._begin_anew(error)
        self.keep_ballast()

    def _connect(self) -> None:
        with translated():
            self.writer = _open(self._path)
            self.reader = _open(self._path)
            self.writer.executescript(batch.SCHEMA + fact.SCHEMA)
            columns = _columns(self.writer, "batch")
            for name, statement in batch.WIDEN.items():
                if name not in columns:
                    self.writer.execute(statement)
            if "checksum" not in _columns(self.writer, "fact"):
                self.writer.execute(fact.WIDEN)
                old = self.writer.execute("SELECT name, value FROM fact").fetchall()
                self.writer.executemany(fact.NOTE, [fact.noted(*each) for each in old])
        self._is_open = True

    def _check(self) -> None:
        with translated():
            [(found,)] = self.writer.execute("PRAGMA quick_check(1)")
        if found != "ok":
            raise SpoolDamaged(found)

    def _disconnect(self) -> None:
        self._is_open = False
        for connection in (getattr(self, "reader", None), getattr(self, "writer", None)):
            if connection is not None:
                connection.close()

    def _begin_anew(self, error: Exception) -> None:
        self._disconnect()
        with translated():
            aside = set_aside(self._path)
            saved = save(aside, self._path)
        self._connect()
        self.damage = SpoolDamaged(
            f"{error}; set aside as {aside.name}, {saved} events in it could be read and go on"
        )
        log.error(
            "The spool was damaged, and was begun anew",
            error=str(error),
            aside=str(aside),
            saved=saved,
        )

    async def begin_anew(self, error: Exception) -> None:
        """Set a damaged file aside, and save what can be read of it into a new one.

        Raises:
            SpoolUnavailable: When the disk refuses.
        """
        async with self._writing:
            await self.in_thread(partial(self._begin_anew, error))

    def _sure(self) -> None:
        """See to it that the file is open: after a failed write it is opened anew.

        What an fsync that failed has written is unknown, and a second one on the same file may
        answer that all is well. Source: https://wiki.postgresql.org/wiki/Fsync_Errors
        """
        if not self._is_open:
            if self._writing.locked():
                raise SpoolUnavailable("the spool is being made anew")
            self._connect()

    def ask(self, question: str, *values: object) -> list[Any]:
        """Return the rows that answer a question.

        Raises:
            SpoolUnavailable: When the disk refuses.
        """
        self._sure()
        with translated():
            return self.reader.execute(question, values).fetchall()

    def each(self, question: str, *values: object) -> Generator[Any, None, None]:
        """Yield the rows that answer a question, read one by one; close it when done.

        Raises:
            SpoolUnavailable: When the disk refuses.
        """
        self._sure()
        with translated():
            cursor = self.reader.execute(question, values)
        with closing(cursor):
            while True:
                with translated():
                    row = cursor.fetchone()
                if row is None:
                    return
                yield row

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[sqlite3.Connection]:
        """Around what is to be on the disk as a whole when it ends, or not at all.

        Raises:
            SpoolUnavailable: When the disk refuses.
        """
        async with self._writing:
            if not self._is_open:
                self._connect()
            try:
                with translated():
                    self.writer.execute("BEGIN IMMEDIATE")
                    yield self.writer
                    await self.in_thread(lambda: self.writer.execute("COMMIT"))
            except BaseException as error:
                self._undo(error)
                raise

    def _undo(self, error: BaseException) -> None:
        try:
            if self.writer.in_transaction:
                self.writer.execute("ROLLBACK")
        except sqlite3.Error:
            self._disconnect()
        cause = error.__cause__
        if isinstance(cause, sqlite3.Error) and _code(cause) == sqlite3.SQLITE_IOERR:
            self._disconnect()

    async def in_thread(self, call: Callable[[], Answer]) -> Answer:
        """Run one long statement; the loop goes on meanwhile."""
        loop = asyncio.get_running_loop()
        return await to_its_end(loop.run_in_executor(self._thread, call))

    def used_bytes(self) -> int:
        """Bytes that rows and indexes take; the file itself does not shrink."""
        pages, free, size = (
            self.ask(f"PRAGMA {name}")[0][0]
            for name in ("page_count", "freelist_count", "page_size")
        )
        return int((pages - free) * size)

    def free_bytes(self) -> int:
        """Bytes that are free where the file is.

        Raises:
            SpoolUnavailable: When the disk refuses.
        """
        with translated():
            return shutil.disk_usage(self._path.parent).free

    def keep_ballast(self, *, when_free_bytes: int = 4 * BALLAST_BYTES) -> None:
        """Keep a file that can be given up when the disk is full: making room takes room."""
        with suppress(OSError, SpoolUnavailable):
            kept = self._ballast.stat().st_size if self._ballast.exists() else 0
            if kept < BALLAST_BYTES and self.free_bytes() >= when_free_bytes:
                # Random: file systems that compress would keep nothing of zeros.
                self._ballast.write_bytes(os.urandom(BALLAST_BYTES))

    @asynccontextmanager
    async def without_ballast(self) -> AsyncIterator[None]:
        """Around what makes room: meanwhile the ballast is given up, to be taken again at once.

        Without it what was sent could not be deleted: that is written to the log first.

        Raises:
            SpoolUnavailable: When the disk refuses.
        """
        had_one = self._ballast.exists()
        with translated():
            self._ballast.unlink(missing_ok=True)
        try:
            yield
        finally:
            if had_one:
                self.keep_ballast(when_free_bytes=0)

    async def use_log_again(self) -> None:
        """Let the log be written from its start again.

        Raises:
            SpoolUnavailable: When the disk refuses.
        """
        checkpoint = "PRAGMA wal_checkpoint(RESTART)"
        async with self._writing:
            with translated():
                await self.in_thread(lambda: self.writer.execute(checkpoint).fetchall())

    def close(self) -> None:
        """Let go of the file, when the thread is done with it."""
        self._thread.shutdown()
        self._disconnect()


@asynccontextmanager
async def open_disk(path: Path) -> AsyncIterator[Disk]:
    """Open a file, or make it; only one process can have it open.

    Raises:
        SpoolInUse: When another process has it open.
        SpoolUnavailable: When the disk refuses.
    """
    with translated():
        path.parent.mkdir(parents=True, exist_ok=True)
        path = _followed(path)
        lock = path.with_name(path.name + ".lock").open("w")
    with lock:
        _lock(lock.fileno(), path)
        disk = Disk(path)
        try:
            disk.open()
            yield disk
        finally:
            disk.close()


@contextmanager
def translated() -> Iterator[None]:
    """Turn errors of SQLite and of the disk into ours.

    Raises:
        SpoolUnavailable: When the disk refuses.
    """
    try:
        yield
    except sqlite3.DatabaseError as error:
        code = _code(error)
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            message = f"the spool is damaged: {error}"
            raise SpoolDamaged(message) from error
        if not isinstance(error, sqlite3.OperationalError):
            raise
        if any(words in str(error) for words in _OF_DAMAGE):
            message = f"the spool is damaged: {error}"
            raise SpoolDamaged(message) from error
        message = f"the spool cannot be written: {error}; free space, or check INGEST_SPOOL_PATH"
        kind = DiskFull if code == sqlite3.SQLITE_FULL else SpoolUnavailable
        raise kind(message) from error
    except UnicodeDecodeError as error:  # in a message of SQLite that quotes the file
        message = f"the spool is damaged: {error}"
        raise SpoolDamaged(message) from error
    except OSError as error:
        message = f"the spool cannot be written: {error}; free space, or check INGEST_SPOOL_PATH"
        kind = DiskFull if error.errno == errno.ENOSPC else SpoolUnavailable
        raise kind(message) from error


def _code(error: sqlite3.Error) -> int:
    """SQLite's primary result code; 0 where the error is Python's own."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _followed(path: Path) -> Path:
    """The file itself: two links to it have one lock."""
    return path.resolve()


def _lock(file: int, path: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        message = (
            f"another ingest has the spool {path} open: stop it, "
            "or give this one a file of its own with INGEST_SPOOL_PATH"
        )
        raise SpoolInUse(message) from error
    except OSError as error:  # a network's file system that cannot lock
        message = f"the spool {path} cannot be locked: {error}; put INGEST_SPOOL_PATH on a disk"
        raise SpoolUnavailable(message) from error


def _columns(connection: sqlite3.Connection, table: str) -> set[str]:
    return {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}


def _open(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA cache_size = -8000")
    return connection

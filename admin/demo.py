"""What a demo says, and how it ends."""

import sys
import time
from asyncio import Event
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from admin.cli.ledger import print_table
from common.bus import Bus, connect
from common.errors import BusUnavailable
from common.ledger import Ledger, read_ledger
from common.lifecycle import pause

DRAIN_S: Final = 10.0
"""Seconds that a demo which stops by itself gives the last events."""

QUIET_S: Final = 0.5
"""Seconds without a new event after which nothing more comes."""

LOOK_EVERY_S: Final = 0.05
"""Seconds between two looks at the ledger."""


def say_where(url: str, token: str, redis_cli: str) -> None:
    """Say where to look, and what to try."""
    _say(
        "habus demo: a simulated home, a Redis of its own, all workers in one process.\n\n"
        f"  dashboard  {url}\n"
        f"  token      {token}\n\n"
        "What to try next:\n"
        f"  curl -H 'Authorization: Bearer {token}' {url}api/v1/ledger\n"
        f"  {redis_cli} XREVRANGE ha:enriched + - COUNT 1\n\n"
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


async def end_after(seconds: float, silence: Callable[[], None], bus: Bus, stop: Event) -> None:
    """Let the home fall silent, and the last events come to rest; then stop."""
    await pause(stop, seconds)
    silence()
    before, quiet_since = await _ledger(bus), time.monotonic()
    deadline = quiet_since + DRAIN_S
    while not stop.is_set() and time.monotonic() < min(deadline, quiet_since + QUIET_S):
        await pause(stop, LOOK_EVERY_S)
        now = await _ledger(bus)
        if now != before or now.in_flight:
            before, quiet_since = now, time.monotonic()
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
        return Ledger()


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()

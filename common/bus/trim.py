"""Letting go: of entries that everyone has acknowledged, of consumers that are gone."""

import asyncio
import time
from contextlib import suppress
from typing import Final

import redis.exceptions as redis_errors

from common.bus.connection import Bus
from common.bus.keys import ENRICH, STORE
from common.errors import BusUnavailable
from common.lifecycle import pause
from common.logs import logger

EVERY_S: Final = 30.0
"""Seconds between two rounds."""

FULL: Final = 0.5
"""Share of `maxmemory` above which nothing stays just for inspection."""

AHEAD_MS: Final = 24 * 3600 * 1000
"""Milliseconds that the newest id may lie ahead of us: beyond it a clock was wrong."""

FORGOTTEN_AFTER_S: Final = 3600.0
"""Seconds without a read after which a consumer that holds nothing is forgotten."""

log = logger(__name__)


async def trim(bus: Bus, stream: str, retention_s: float) -> int:
    """Delete entries older than the retention that no group needs; return how many.

    When Redis fills up, every entry that no group needs is deleted.

    Raises:
        BusUnavailable: When Redis does not answer.
    """
    keep_s = 0.0 if await share_of_memory(bus) > FULL else retention_s
    now_ms = int(time.time() * 1000)
    oldest_ms = max(0, now_ms - int(keep_s * 1000))
    deleted: int = await bus.run("trim", [stream], f"{oldest_ms}-0", f"{now_ms + AHEAD_MS}-0")
    return deleted


async def keep_trimmed(
    bus: Bus, streams: tuple[str, ...], retention_s: float, stop: asyncio.Event
) -> None:
    """Trim these streams, and forget their idle consumers, again and again until `stop` is set."""
    while not stop.is_set():
        for stream in streams:
            with suppress(BusUnavailable):
                await trim(bus, stream, retention_s)
                await forget_consumers(bus, stream)
        await pause(stop, EVERY_S)


async def forget_consumers(bus: Bus, stream: str) -> int:
    """Delete consumers that hold nothing, have no heartbeat and read long ago; return how many.

    Raises:
        BusUnavailable: When Redis does not answer.
    """
    idle_ms = int(FORGOTTEN_AFTER_S * 1000)
    forgotten = 0
    for group in (ENRICH, STORE):
        try:
            consumers = await bus.command("XINFO CONSUMERS", stream, group)
        except redis_errors.ResponseError:  # no such stream, no such group
            continue
        for name in [c["name"].decode() for c in consumers if c["idle"] >= idle_ms]:
            keys = (stream, bus.keys.worker(group, name))
            forgotten += await bus.run("forget", keys, group, name, idle_ms)
    return forgotten


async def share_of_memory(bus: Bus) -> float:
    """Return the used share of `maxmemory`; 0 where there is no limit or the server cannot tell.

    Raises:
        BusUnavailable: When Redis does not answer.
    """
    try:
        memory = await bus.command("INFO", "memory")
    except redis_errors.ResponseError:  # fakeredis has no INFO
        return 0.0
    limit = int(memory.get("maxmemory", 0))
    return int(memory["used_memory"]) / limit if limit else 0.0

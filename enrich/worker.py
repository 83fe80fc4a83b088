"""`ha:raw` and `ha:inbox` → `ha:enriched`."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from itertools import groupby
from typing import Final

from common import __version__
from common.bus import Consumer, Delivery, Room
from common.bus.room import GO_ON_BELOW
from common.errors import BusUnavailable, PoisonError
from common.event import Event, time_of
from common.heartbeat import Heartbeat
from common.latency import ms_of_id
from common.lifecycle import Stopped, patiently, pause
from common.logs import logger
from common.registry import Registry
from common.watchdog import watched
from enrich.chain import enrich

log = logger(__name__)


LOOK_FOR_ROOM_S: Final = 0.2
"""Seconds between two looks whether Redis has room again."""


async def work(  # noqa: PLR0913, PLR0917 - what it reads from, writes to, and is told by
    raw: Consumer,
    enriched: str,
    registry: Callable[[], Awaitable[Registry]],
    room: Room,
    heartbeat: Heartbeat,
    stop: asyncio.Event,
) -> None:
    """Enrich each batch and forward it; append, acknowledge and count are one script.

    Args:
        raw: Hands out events as captured.
        enriched: Key of the next stream.
        registry: Returns the home's registry as it is now.
        room: Says when Redis fills up.
        heartbeat: Counts.
        stop: Ends it, after the batch in hand.

    Raises:
        Stopped: When `stop` is set while Redis is away.
    """
    latency = heartbeat.latency("raw_to_enriched")
    async for batch in raw.batches(stop):
        known = await patiently(registry, stop, "Redis")
        with watched():
            outcomes = outcomes_of(batch, known, time_of(time.time_ns() // 1000))
        await wait_for_room(room, heartbeat, stop)
        await raw.forward(batch, outcomes, enriched, stop, overfill=room.is_tight)
        now_ms = time.time_ns() // 1_000_000
        for _, same in groupby(batch, lambda held: held.stream):
            latency.add_ordered(list(same), lambda held: ms_of_id(held.entry_id), now_ms)
        heartbeat.count(enriched=sum(isinstance(outcome, Event) for outcome in outcomes))
        del outcomes  # before the next batch is read: see `Consumer.batches`


async def wait_for_room(room: Room, heartbeat: Heartbeat, stop: asyncio.Event) -> None:
    """Return when Redis has room for a batch, or when waiting for room would be in vain.

    Raises:
        Stopped: When `stop` is set meanwhile.
    """
    waited = False
    while await patiently(room.is_short, stop, "Redis"):
        error = BusUnavailable(
            f"Redis is {room.share:.0%} full: forwarding waits until store has drained it below"
            f" {GO_ON_BELOW:.0%} of maxmemory"
        )
        heartbeat.dependency("redis_memory", error)
        if not waited:
            log.warning("waiting for room in Redis", error=str(error))
        waited = True
        await pause(stop, LOOK_FOR_ROOM_S)
        if stop.is_set():
            raise Stopped("stopped while waiting for room in Redis")
    if waited:
        heartbeat.dependency("redis_memory", None)


def outcomes_of(
    batch: Sequence[Delivery], registry: Registry, processed_at: str
) -> list[Event | PoisonError]:
    """Return, for each delivery, the event it becomes or the cause of its death."""
    outcomes: list[Event | PoisonError] = []
    for delivery in batch:
        outcome = delivery.event
        if isinstance(outcome, Event):
            try:
                outcome = enrich(outcome, registry, processed_at, __version__, time.perf_counter_ns)
            except PoisonError as error:
                outcome = error
        outcomes.append(outcome)
    return outcomes

"""`ha:enriched` → sink: while a write is under way the next batch gathers by itself."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Final, TypeVar

from common.bus import Consumer, Delivery
from common.errors import PointRejected, PoisonError, SinkTooSlow, WriteFailed
from common.event import LIVE, Event
from common.heartbeat import Heartbeat
from common.latency import ms_of_id
from common.lifecycle import patiently
from common.sink import Sink
from common.watchdog import watched
from store.portions import Portions
from store.refusals import isolate
from store.suspicion import Suspicion

Point = TypeVar("Point")
Answer = TypeVar("Answer")

MOST_OF_A_LINE: Final = 2000
"""Bytes of line protocol that a dead letter repeats."""


async def work(
    enriched: Consumer, sink: Sink[Point], heartbeat: Heartbeat, stop: asyncio.Event
) -> None:
    """Write each batch; acknowledge what stands written, bury what is refused.

    While the sink is away nothing is read, so Redis holds the backlog. When there is nothing to
    write the sink is looked after all the same, so that whoever asks hears how it is.

    Raises:
        Stopped: When `stop` is set while the sink or Redis is away.
    """
    on_stream, in_all = heartbeat.latency("enriched_to_stored"), heartbeat.latency("total")
    portions = Portions()
    async for batch in enriched.batches(stop):
        if not batch:
            await reach(sink, heartbeat, stop)
            continue
        with watched():
            points, refusals = points_of(batch, sink)
        refused = await write(points, sink, heartbeat, stop, portions)
        numbers = [i for i in range(len(batch)) if i not in refusals]
        refusals |= {numbers[i]: with_line(error, points[i]) for i, error in refused.items()}
        await enriched.settle(batch, refusals, stop)
        now_us = time.time_ns() // 1000
        on_stream.add_ordered(batch, lambda held: ms_of_id(held.entry_id), now_us // 1000)
        in_all.add_times(live_times_of(batch, refusals), now_us)
        without_point = len(points) - sum(map(bool, points))
        heartbeat.count(stored=len(batch) - len(refusals), without_point=without_point, batches=1)


async def reach(sink: Sink[Point], heartbeat: Heartbeat, stop: asyncio.Event) -> str:
    """Wait until the sink would take a write, and return its line about itself.

    Args:
        sink: Which.
        heartbeat: Told while the sink is away, and when it is there.
        stop: When it is set, nothing is waited for any more.

    Raises:
        Stopped: When `stop` is set while the sink is away.
    """
    told = await _waiting(sink.check, heartbeat, stop)
    heartbeat.dependency("sink", None)
    return told


async def _waiting(
    call: Callable[[], Awaitable[Answer]], heartbeat: Heartbeat, stop: asyncio.Event
) -> Answer:
    """What a call of the sink answers; while the sink is away the heartbeat says so."""
    return await patiently(call, stop, "the sink", partial(heartbeat.dependency, "sink"))


def points_of(
    batch: Sequence[Delivery], sink: Sink[Point]
) -> tuple[list[Point], dict[int, PoisonError]]:
    """Turn deliveries into points, those that can be; of the others return why not."""
    points: list[Point] = []
    refusals: dict[int, PoisonError] = {}
    for number, delivery in enumerate(batch):
        try:
            if isinstance(delivery.event, PoisonError):
                raise delivery.event
            points.append(sink.point(delivery.event))
        except PoisonError as error:
            refusals[number] = error
    return points, refusals


def with_line(error: PointRejected, point: object) -> PointRejected:
    """The error with the line that was refused, at most `MOST_OF_A_LINE` of it."""
    if isinstance(point, bytes):
        error.detail["line"] = point[:MOST_OF_A_LINE].decode(errors="replace")
    return error


def live_times_of(batch: Sequence[Delivery], but: Collection[int]) -> list[str]:
    """Times of the events that came live, but for some: of others the age is not our doing."""
    if but:
        batch = [held for number, held in enumerate(batch) if number not in but]
    return [
        event.time
        for held in batch
        if isinstance(event := held.event, Event) and event.source == LIVE
    ]


async def write(
    points: Sequence[Point],
    sink: Sink[Point],
    heartbeat: Heartbeat,
    stop: asyncio.Event,
    portions: Portions,
) -> Mapping[int, PointRejected]:
    """Write points until each stands written or refused alone; return those refused.

    Args:
        points: To write.
        sink: Where.
        heartbeat: Told when the sink is away.
        stop: When it is set, nothing is waited for any more.
        portions: What earlier batches have shown of how much the sink takes at once.

    Raises:
        Stopped: When `stop` is set while the sink is away.
    """
    parts = isolate(len(points))
    suspicion = Suspicion()
    try:
        start, end = next(parts)
        while True:
            refusal = None
            try:
                some = partial(attempt, points[start:end], sink, suspicion, portions)
                await _waiting(some, heartbeat, stop)
            except PointRejected as error:
                refusal = error
            start, end = parts.send(refusal)
    except StopIteration as done:
        refused: dict[int, PointRejected] = done.value
        return refused


async def attempt(
    points: Sequence[Point], sink: Sink[Point], suspicion: Suspicion, portions: Portions
) -> None:
    """Write points once, in portions; after one that took too long they are smaller.

    Raises:
        SinkUnavailable: When the sink is to blame; write the same again later.
        PointRejected: When at least one of the points is.
    """
    try:
        for portion in portions.of(points):
            await sink.write(portion)
    except SinkTooSlow:
        portions.shrink(len(points))
        raise
    except WriteFailed as error:
        if not suspicion.falls_on_points(len(points)):
            raise
        await sink.prove(points)
        suspicion.confirm()
        raise PointRejected(f"the sink takes other points, but not this: {error}") from error
    suspicion.drop()

"""What `store` makes of a batch."""

import asyncio
from contextlib import suppress

from common.bus.delivery import delivery
from common.errors import MalformedEvent, PointRejected, SinkUnavailable
from common.lifecycle import Stopped
from store.worker import points_of, work, write
from tests.fakes.bus import event, fields_of


class FakeSink:
    """Keeps points; refuses some, and can be away.

    Args:
        bad: Points that it refuses.
        away_for: Writes that fail before one gets through.
    """

    def __init__(self, bad=frozenset(), away_for=0):
        self.bad = bad
        self.away_for = away_for
        self.points = []

    def point(self, stored):
        if stored.data == b"refused":
            raise PointRejected("no point can be made of it")
        return stored.id

    async def write(self, points):
        if self.away_for:
            self.away_for -= 1
            raise SinkUnavailable("away")
        if self.bad & set(points):
            raise PointRejected("bad point", "field_type_conflict")
        self.points += points


class FakeHeartbeat:
    """Hears of the sink."""

    def __init__(self):
        self.heard = []

    def dependency(self, name, error):
        self.heard.append((name, error and str(error)))

    def count(self, **_done):
        pass


class FakeConsumer:
    """Hands out one batch, and remembers what stood in the sink when it was settled."""

    def __init__(self, batch, sink):
        self.batch = batch
        self.sink = sink
        self.settled = []

    async def batches(self, _stop):
        yield self.batch

    async def settle(self, batch, refusals, _stop):
        self.settled.append((len(batch), set(refusals), list(self.sink.points)))


def held(n, data=b"{}"):
    flat = [f if isinstance(f, bytes) else str(f).encode() for f in fields_of(event(n, data=data))]
    return delivery("ha:enriched", b"1-%d" % n, flat)


def test_what_is_no_point_is_told_apart():
    """Entries that are no event, and events that are no point, are refused with their place."""
    broken = delivery("ha:enriched", b"1-9", [b"hello", b"world"])
    points, refusals = points_of([held(1), broken, held(2, b"refused"), held(3)], FakeSink())
    assert points == [event(1).id, event(3).id]
    assert {n: type(error) for n, error in refusals.items()} == {
        1: MalformedEvent,
        2: PointRejected,
    }


async def test_refused_points_end_alone_and_the_others_stand():
    """A refused batch is split until the refused points stand alone; each other is written once."""
    sink = FakeSink({"3", "40", "41"})
    points = [str(n) for n in range(100)]
    refused = await write(points, sink, FakeHeartbeat(), asyncio.Event())
    assert set(refused) == {3, 40, 41}
    assert refused[3].reason == "field_type_conflict"
    assert sink.points == [point for point in points if point not in sink.bad]


async def test_nothing_is_settled_before_it_is_written():
    """A batch is settled once, when each of its points stands written or is refused."""
    sink = FakeSink({event(2).id}, away_for=1)
    enriched = FakeConsumer([held(1), held(2), held(3, b"refused"), held(4)], sink)
    await work(enriched, sink, FakeHeartbeat(), asyncio.Event())
    assert enriched.settled == [(4, {1, 2}, [event(1).id, event(4).id])]


async def test_nothing_to_write_asks_nobody():
    """A batch of which nothing is a point does not touch the sink."""
    assert await write([], FakeSink(away_for=1), FakeHeartbeat(), asyncio.Event()) == {}


async def test_an_outage_of_the_sink_is_waited_out_and_said():
    """While the sink is away the same points wait; the heartbeat says why, and when it is over."""
    sink, heartbeat = FakeSink(away_for=1), FakeHeartbeat()
    assert await write(["1", "2"], sink, heartbeat, asyncio.Event()) == {}
    assert sink.points == ["1", "2"]
    assert heartbeat.heard == [("sink", "away"), ("sink", None)]


async def test_a_stop_during_an_outage_writes_nothing():
    """A worker that is stopped while the sink is away stores nothing and refuses nothing."""
    sink, stop = FakeSink(away_for=10**9), asyncio.Event()
    stop.set()
    stopped = True
    with suppress(Stopped):
        await write(["1"], sink, FakeHeartbeat(), stop)
        stopped = False
    assert stopped
    assert sink.points == []

"""What `store` makes of a batch."""

import asyncio
import itertools
from contextlib import suppress
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.bus.delivery import delivery
from common.errors import MalformedEvent, PointRejected, SinkTooSlow, SinkUnavailable, WriteFailed
from common.latency import Latency
from common.lifecycle import Stopped
from store.portions import Portions
from store.suspicion import TRIES
from store.worker import points_of, work, write
from tests.fakes.bus import event, fields_of


class FakeSink:
    """Keeps points; refuses some, and can be away.

    Args:
        bad: Points that it refuses.
        away_for: Writes that fail before one gets through.
        poison: Points that it fails at.
        moods: How each write ends before the points are even looked at: None, or an error.
    """

    def __init__(self, bad=frozenset(), away_for=0, poison=frozenset(), moods=()):
        self.bad = bad
        self.away_for = away_for
        self.poison = poison
        self.moods = iter(moods)
        self.points = []
        self.writes = 0
        self.proofs = []
        self.is_well = True

    def point(self, stored):
        if stored.data == b"refused":
            raise PointRejected("no point can be made of it")
        return stored.id

    async def write(self, points):
        if self.away_for:
            self.away_for -= 1
            raise SinkUnavailable("away")
        self.writes += 1
        if mood := next(self.moods, None):
            raise mood
        if self.poison & set(points):
            raise WriteFailed("it makes me ill")
        if self.bad & set(points):
            raise PointRejected("bad point", "field_type_conflict")
        self.points += points

    async def check(self):
        if self.away_for:
            self.away_for -= 1
            raise SinkUnavailable("away")
        return "a sink"

    async def prove(self, points):
        self.proofs.append(points[0])
        if not self.is_well:
            raise SinkUnavailable("it is not well")


class FakeHeartbeat:
    """Hears of the sink."""

    def __init__(self):
        self.heard = []
        self.counted = {}
        self.hops = {}

    def latency(self, hop):
        return self.hops.setdefault(hop, Latency())

    def count(self, **done):
        self.counted = done

    def dependency(self, name, error):
        self.heard.append((name, error and str(error)))


@pytest.fixture
def no_waits():
    """Waits between tries take no time."""
    with patch("common.lifecycle.delays", lambda _: itertools.repeat(0.0)):
        yield


class FakeConsumer:
    """Hands out batches and remembers how they were settled, and what stood in the sink then."""

    def __init__(self, *batches, sink=None):
        self._batches = batches
        self._sink = sink
        self.settled = []
        self.stood = []

    async def batches(self, _):
        for batch in self._batches:
            yield batch

    async def settle(self, batch, refusals, _):
        self.settled.append((len(batch), refusals))
        self.stood.append(list(self._sink.points) if self._sink else [])


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


@pytest.mark.usefixtures("no_waits")
async def test_an_idle_store_looks_after_its_sink():
    """A batch of nothing settles nothing; the sink is waited for, and the heartbeat hears of it."""
    sink, heartbeat = FakeSink(away_for=2), FakeHeartbeat()
    enriched = FakeConsumer([], [held(1)], [])
    await work(enriched, sink, heartbeat, asyncio.Event())
    assert enriched.settled == [(1, {})]
    assert sink.points == [event(1).id]
    assert heartbeat.heard[:3] == [("sink", "away"), ("sink", "away"), ("sink", None)]
    assert {error for _, error in heartbeat.heard[3:]} == {None}
    assert heartbeat.counted["batches"] == 1


async def test_refused_points_end_alone_and_the_others_stand():
    """A refused batch is split until the refused points stand alone; each other is written once."""
    sink = FakeSink({"3", "40", "41"})
    points = [str(n) for n in range(100)]
    refused = await write(points, sink, FakeHeartbeat(), asyncio.Event(), Portions())
    assert set(refused) == {3, 40, 41}
    assert refused[3].reason == "field_type_conflict"
    assert sink.points == [point for point in points if point not in sink.bad]


async def test_nothing_is_settled_before_it_is_written():
    """A batch is settled once, when each of its points stands written or is refused."""
    sink = FakeSink({event(2).id}, away_for=1)
    enriched = FakeConsumer([held(1), held(2), held(3, b"refused"), held(4)], sink=sink)
    await work(enriched, sink, FakeHeartbeat(), asyncio.Event())
    assert [(size, set(refusals)) for size, refusals in enriched.settled] == [(4, {1, 2})]
    assert enriched.stood == [[event(1).id, event(4).id]]


async def test_a_refused_point_is_buried_with_its_line():
    """The dead letter's detail holds the beginning of the line that was refused, and it alone."""
    line = b"m,a=\xff " + b"x" * 5000
    sink, consumer = FakeSink({line}), FakeConsumer([held(1), held(2)])
    sink.point = lambda stored: line if stored.id == event(2).id else b"good"
    await work(consumer, sink, FakeHeartbeat(), asyncio.Event())
    ((_, refusals),) = consumer.settled
    assert refusals[1].detail["line"].startswith("m,a=\ufffd xxx")
    assert len(refusals[1].detail["line"]) == 2000


async def test_nothing_to_write_asks_nobody():
    """A batch of which nothing is a point does not touch the sink."""
    assert await write([], FakeSink(away_for=1), FakeHeartbeat(), asyncio.Event(), Portions()) == {}


async def test_an_outage_of_the_sink_is_waited_out_and_said():
    """While the sink is away the same points wait; the heartbeat says why, and when it is over."""
    sink, heartbeat = FakeSink(away_for=1), FakeHeartbeat()
    assert await write(["1", "2"], sink, heartbeat, asyncio.Event(), Portions()) == {}
    assert sink.points == ["1", "2"]
    assert heartbeat.heard == [("sink", "away"), ("sink", None)]


async def test_a_stop_during_an_outage_writes_nothing():
    """A worker that is stopped while the sink is away stores nothing and refuses nothing."""
    sink, stop = FakeSink(away_for=10**9), asyncio.Event()
    stop.set()
    stopped = True
    with suppress(Stopped):
        await write(["1"], sink, FakeHeartbeat(), stop, Portions())
        stopped = False
    assert stopped
    assert sink.points == []


@pytest.mark.usefixtures("no_waits")
async def test_a_point_that_the_sink_fails_at_ends_alone():
    """A batch that fails again and again is split once the sink has proved itself."""
    sink, heartbeat = FakeSink(poison={"3", "40"}), FakeHeartbeat()
    points = [str(n) for n in range(100)]
    refused = await write(points, sink, heartbeat, asyncio.Event(), Portions())
    assert set(refused) == {3, 40}
    assert refused[3].reason == "point_rejected"
    assert "it makes me ill" in str(refused[3])
    assert sorted(sink.points, key=int) == [point for point in points if point not in sink.poison]
    assert sink.writes <= TRIES + 2 * 14 + 2 * TRIES


@pytest.mark.usefixtures("no_waits")
async def test_while_the_sink_cannot_prove_itself_nothing_is_refused():
    """A sink that fails at everything is waited out, however often it fails."""
    sink = FakeSink(moods=[WriteFailed("disk")] * 50)
    sink.is_well = False
    assert await write(["1", "2"], sink, FakeHeartbeat(), asyncio.Event(), Portions()) == {}
    assert sink.points == ["1", "2"]
    assert sink.proofs == ["1"] * (50 - TRIES + 1)


class SlowSink(FakeSink):
    """Takes too long for more than so many points at once."""

    async def write(self, points):
        self.writes += 1
        assert self.writes < 50, "the same is tried for ever"
        if len(points) > 1200:
            raise SinkTooSlow("it did not end in time")
        self.points += points


@pytest.mark.usefixtures("no_waits")
async def test_a_sink_too_slow_for_a_whole_batch_gets_it_in_portions():
    """Where a batch always takes too long less is written at once; the next batch knows it."""
    sink, heartbeat, portions = SlowSink(), FakeHeartbeat(), Portions()
    points = [str(n) for n in range(5000)]
    assert await write(points, sink, heartbeat, asyncio.Event(), portions) == {}
    assert set(sink.points) == set(points)
    assert heartbeat.heard[0] == ("sink", "it did not end in time")
    assert heartbeat.heard[-1] == ("sink", None)
    sink.points, sink.writes = [], 0
    assert await write(points, sink, heartbeat, asyncio.Event(), portions) == {}
    assert set(sink.points) == set(points)
    assert sink.writes <= 2 * 5000 / 600


MOODS = st.lists(
    st.sampled_from([None, None, SinkUnavailable("503"), SinkUnavailable("429", 0.0)]), max_size=60
)


@given(
    st.integers(1, 64).flatmap(
        lambda count: st.tuples(
            st.just(count),
            *[st.sets(st.integers(0, count - 1)).map(lambda s: set(map(str, s)))] * 2,
        )
    ),
    MOODS,
)
def test_whatever_happens_between_exactly_the_bad_points_are_refused(parts, moods):
    """Random bad points, poison and outages: refused are the bad, all else stands once."""
    count, bad, poison = parts
    sink = FakeSink(bad, poison=poison, moods=moods)
    points = [str(n) for n in range(count)]
    with patch("common.lifecycle.delays", lambda _: itertools.repeat(0.0)):
        refused = asyncio.run(write(points, sink, FakeHeartbeat(), asyncio.Event(), Portions()))
    assert {str(n) for n in refused} == bad | poison
    assert sorted(sink.points) == sorted(set(points) - bad - poison)


async def test_what_is_stored_without_a_point_is_counted_apart():
    """Events of which the schema makes no point are acknowledged, and the heartbeat says so."""
    heartbeat, consumer = FakeHeartbeat(), FakeConsumer([held(1), held(2), held(3, b"refused")])
    sink = FakeSink()
    sink.point = lambda stored: b"" if stored.id == event(1).id else FakeSink.point(sink, stored)
    await work(consumer, sink, heartbeat, asyncio.Event())
    assert heartbeat.counted == {"stored": 2, "without_point": 1, "batches": 1}
    assert {hop: sum(taken.counts) for hop, taken in heartbeat.hops.items()} == {
        "enriched_to_stored": 3,
        "total": 2,
    }
    assert [(size, list(refusals)) for size, refusals in consumer.settled] == [(3, [2])]

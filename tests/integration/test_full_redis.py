"""A Redis that fills up: who stops, in which order, and how it drains."""

import asyncio
from contextlib import asynccontextmanager, suppress

import pytest

from common.bus import ENRICH, STORE, Keys, RawStream, Room, Row, Tally, connect
from common.bus import room as room_module
from common.bus.trim import share_of_memory
from common.errors import BusUnavailable, SinkUnavailable
from common.heartbeat import Heartbeat, read_pulses
from common.lifecycle import Stopped
from common.registry_reader import RegistryReader
from enrich import worker as enrich_room
from store import worker as store_room
from tests.fakes.bus import SPOOL, START_MS, balanced, consumer, event
from tests.fakes.redis_server import RedisServer
from tests.fakes.until import until

pytestmark = pytest.mark.integration

KEYS = Keys()
BATCH = 100
LARGE = b'{"data":{"new_state":{"state":"1","attributes":{"text":"%s"}}}}' % (b"x" * 2000)


class Sink:
    """A sink that is away when it is told so."""

    def __init__(self):
        self.is_away = False
        self.ids = set()

    def point(self, captured):
        return captured.id

    async def write(self, points):
        if self.is_away:
            raise SinkUnavailable("away")
        self.ids |= set(points)


@asynccontextmanager
async def working(url, sink, stages=(ENRICH, STORE)):
    """Enrich and store in this process, on connections of their own."""
    stop = asyncio.Event()

    async def enrich():
        async with connect(url) as bus:
            heartbeat = Heartbeat(bus, ENRICH, "me")
            beating = asyncio.create_task(heartbeat.keep_beating(stop))
            reader = consumer(bus, ENRICH, batch_size=BATCH)
            parts = (RegistryReader(bus), Room(bus), heartbeat)
            with suppress(Stopped):
                async with reader.releasing():
                    await enrich_room.work(reader, KEYS.enriched, *parts, stop)
            await beating

    async def store():
        async with connect(url) as bus:
            reader = consumer(bus, STORE, batch_size=BATCH)
            with suppress(Stopped):
                async with reader.releasing():
                    await store_room.work(reader, sink, Heartbeat(bus, STORE, "me"), stop)

    async with asyncio.TaskGroup() as tasks:
        for work in (enrich, store):
            if work.__name__ in stages:
                tasks.create_task(work())
        try:
            yield
        finally:
            stop.set()


class Ingest:
    """Appends large events."""

    def __init__(self, bus):
        self.bus = bus
        self.raw = RawStream(bus, SPOOL)
        self.sent = 0

    async def append(self):
        await self.raw.own()
        numbers = range(self.sent + 1, self.sent + BATCH + 1)
        batch = [Row(n, START_MS, event(n, data=LARGE), []) for n in numbers]
        await self.raw.append(batch, Tally())
        self.sent += BATCH

    async def append_for_ever(self):
        while True:
            await self.append()
            await asyncio.sleep(0)

    def missing(self, sink):
        return {event(n).id for n in range(1, self.sent + 1)} - sink.ids


async def drained(bus):
    return (await balanced(bus)).in_flight == 0


@pytest.fixture
async def full(tmp_path, monkeypatch):
    """A small Redis that is full soon, asked often."""
    monkeypatch.setattr("common.heartbeat.EVERY_S", 0.1)
    monkeypatch.setattr(room_module, "LOOK_EVERY_S", 0.0)
    with RedisServer(tmp_path, maxmemory="12mb") as server:
        async with connect(server.url) as bus:
            yield server, bus


async def test_enrich_stops_before_redis_is_full_and_goes_on_when_it_drained(full):
    """At 80 % enrich waits and says so, with room left; when the sink is back all is stored."""
    server, bus = full
    sink, ingest = Sink(), Ingest(bus)
    sink.is_away = True

    async def waits():
        [pulse] = await read_pulses(bus, ENRICH)
        return "full" in pulse.dependencies.get("redis_memory", "")

    async with working(server.url, sink):
        while await share_of_memory(bus) < 0.60:  # where ingest stops
            await ingest.append()
            await asyncio.sleep(0)
        while not await waits():
            if await share_of_memory(bus) < 0.82:
                await ingest.append()
            await asyncio.sleep(0.01)
        assert 0.75 < await share_of_memory(bus) < 0.95
        enriched = (await balanced(bus)).enriched
        await ingest.append()
        assert (await balanced(bus)).enriched == enriched
        sink.is_away = False
        await until(lambda: drained(bus), within_s=60)
        assert not ingest.missing(sink)

        async def is_up():
            [pulse] = await read_pulses(bus, ENRICH)
            return pulse.dependencies["redis_memory"] == "up"

        await until(is_up)
    assert (await balanced(bus)).stored == ingest.sent


async def test_a_redis_full_of_what_nobody_enriched_drains(full):
    """Even when `raw` alone has filled Redis to the brim all is stored in the end."""
    server, bus = full
    sink, ingest = Sink(), Ingest(bus)
    with pytest.raises(BusUnavailable, match="maxmemory"):
        await ingest.append_for_ever()
    async with working(server.url, sink):
        await until(lambda: drained(bus), within_s=60)
    assert not ingest.missing(sink)
    assert (await balanced(bus)).stored == ingest.sent
    await ingest.append()


async def test_a_redis_filled_while_the_sink_is_away_drains(full):
    """Filled to the brim by ingest with the sink away: when it is back, all is stored."""
    server, bus = full
    sink, ingest = Sink(), Ingest(bus)
    sink.is_away = True
    async with working(server.url, sink):
        with pytest.raises(BusUnavailable, match="maxmemory"):
            await ingest.append_for_ever()
        sink.is_away = False
        await until(lambda: drained(bus), within_s=60)
        await ingest.append()
        await until(lambda: drained(bus), within_s=60)
    assert not ingest.missing(sink)
    assert (await balanced(bus)).stored == ingest.sent


async def test_a_stop_while_enrich_waits_for_room_is_in_order(full):
    """Who waits for room ends when it is stopped, and gives its batch back."""
    server, bus = full
    sink, ingest = Sink(), Ingest(bus)
    async with working(server.url, sink, (ENRICH,)):

        async def is_tight():
            if await share_of_memory(bus) < 0.82:
                await ingest.append()
            [pulse] = await read_pulses(bus, ENRICH) or [None]
            return pulse and "full" in pulse.dependencies.get("redis_memory", "")

        await until(is_tight, within_s=30)
    held = await bus.command("XPENDING", KEYS.raw, ENRICH, "-", "+", 10_000)
    assert {times for *_, times in held} == {0}
    assert (await balanced(bus)).in_flight == ingest.sent


async def test_without_a_limit_there_is_always_room(redis_url):
    """Where `maxmemory` is not set nobody waits."""
    async with connect(redis_url) as bus:
        room = Room(bus)
        assert not await room.is_short()
        assert not room.is_tight


async def test_room_is_short_only_where_store_can_make_some(full):
    """Full of what nobody can drain, or before there is a group, nobody waits in vain."""
    _, bus = full
    room = Room(bus)
    while await share_of_memory(bus) < 0.85:
        await bus.command("APPEND", "ballast", b"x" * 100_000)
    assert not await room.is_short()
    assert room.is_tight
    await bus.command("XADD", KEYS.enriched, "*", "a", "b")
    assert await room.is_short()
    await bus.command("XGROUP", "CREATE", KEYS.enriched, STORE, "$")
    assert not await room.is_short()
    await bus.command("DEL", "ballast")
    assert not await room.is_short()
    assert not room.is_tight

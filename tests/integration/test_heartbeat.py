"""Heartbeats on a real Redis."""

import asyncio
import os

import pytest

from common import __version__
from common import heartbeat as heartbeat_module
from common.bus import ENRICH, INGEST, Keys, connect
from common.errors import BusUnavailable, SinkUnavailable
from common.heartbeat import EXPIRES_S, Heartbeat, read_pulses
from tests.fakes.lossy_proxy import LossyProxy
from tests.fakes.redis_server import RedisServer
from tests.fakes.until import until

pytestmark = pytest.mark.integration


@pytest.fixture
async def bus(redis_url):
    async with connect(redis_url) as opened:
        yield opened


async def test_a_worker_says_who_it_is_and_what_it_did(bus):
    """A heartbeat carries version, process, counters, progress, and each dependency's state."""
    heartbeat = Heartbeat(bus, INGEST, "attic", {"spool": "the-spool"})
    await heartbeat.beat()
    [first] = await read_pulses(bus)
    assert (first.stage, first.name, first.version) == ("ingest", "attic", __version__)
    assert (first.pid, first.spool, first.counters) == (os.getpid(), "the-spool", {})
    assert (first.progress, first.last_error) == ("", "")
    assert first.dependencies == {"redis": "up"}, "every worker depends on Redis"
    heartbeat.count(sent=3)
    heartbeat.count(sent=4, filtered=1)
    heartbeat.dependency("sink", SinkUnavailable("it is on fire"))
    heartbeat.dependency("redis", BusUnavailable("full"))
    await heartbeat.beat()
    [second] = await read_pulses(bus)
    assert second.counters == {"sent": 7, "filtered": 1}
    assert second.dependencies == {"sink": "down: it is on fire", "redis": "down: full"}
    assert second.last_error.endswith(" full")
    assert second.started == first.started <= second.progress <= second.beat
    heartbeat.dependency("sink", None)
    await heartbeat.beat()
    [third] = await read_pulses(bus)
    assert third.dependencies["sink"] == "up"
    assert third.last_error == second.last_error


async def test_what_a_stranger_writes_in_place_of_a_heartbeat_hides_no_worker(bus):
    """Fields and keys that make no sense count as unknown; the others are read."""
    await Heartbeat(bus, INGEST, "a").beat()
    strange = ("pid", "x", "counters", "[1", "dependencies", b"\xff", "host", "attic")
    await bus.command("HSET", bus.keys.worker(ENRICH, "b"), *strange)
    await bus.command("HSET", b"ha:worker:enrich:\xff", "pid", "9" * 5_000)
    found = {pulse.name: pulse for pulse in await read_pulses(bus)}
    assert found.keys() == {"a", "b"}
    assert (found["b"].pid, found["b"].counters, found["b"].dependencies) == (0, {}, {})
    assert found["b"].host == "attic"


async def test_workers_are_found_by_stage(bus):
    """All that live are found, or those of one stage."""
    for stage, name in ((INGEST, "a"), (ENRICH, "b"), (ENRICH, "c")):
        await Heartbeat(bus, stage, name).beat()
    assert [(pulse.stage, pulse.name) for pulse in await read_pulses(bus)] == [
        ("enrich", "b"),
        ("enrich", "c"),
        ("ingest", "a"),
    ]
    assert [pulse.name for pulse in await read_pulses(bus, ENRICH)] == ["b", "c"]


async def test_a_heartbeat_expires_by_itself(bus):
    """What a killed worker said is gone soon."""
    await Heartbeat(bus, INGEST, "attic").beat()
    assert 0 < await bus.command("TTL", Keys().worker(INGEST, "attic")) <= EXPIRES_S


async def test_a_heart_beats_until_it_is_stopped(redis_url, bus, monkeypatch):
    """It beats on, through an outage too, and is gone at once when the worker stops."""
    monkeypatch.setattr(heartbeat_module, "EVERY_S", 0.01)
    stop = asyncio.Event()
    async with LossyProxy(redis_url) as proxy, connect(proxy.url) as far:
        beating = asyncio.create_task(Heartbeat(far, INGEST, "attic").keep_beating(stop))

        async def beat():
            return [pulse.beat for pulse in await read_pulses(bus)]

        await until(beat)
        first = await beat()
        proxy.refuses = True
        proxy.cut()
        with pytest.raises(BusUnavailable):
            await far.ping()
        proxy.refuses = False

        async def goes_on():
            return await beat() > first

        await until(goes_on)
        stop.set()
        await beating
    assert await read_pulses(bus) == []


async def test_a_full_redis_does_not_make_a_worker_look_dead(tmp_path):
    """A heartbeat is written, and expires, also when Redis takes nothing; it stays small."""
    with RedisServer(tmp_path) as server:
        async with connect(server.url) as bus:
            await bus.command("CONFIG SET", "maxmemory", "1")
            with pytest.raises(BusUnavailable):
                await bus.command("SET", "a", "b")
            heartbeat = Heartbeat(bus, ENRICH, "attic")
            heartbeat.dependency("sink", SinkUnavailable("x" * 100_000))
            await heartbeat.beat()
            [pulse] = await read_pulses(bus)
            assert 1000 < len(pulse.last_error) < 1100
            assert await bus.command("TTL", Keys().worker(ENRICH, "attic")) > 0

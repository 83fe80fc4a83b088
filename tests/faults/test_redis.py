"""Redis is killed, restarted, emptied, filled, and loses what it had."""

import asyncio

import pytest

from common.bus.trim import share_of_memory
from tests.fakes.until import until
from tests.faults.fault import fault, params_of
from tests.faults.memory import filled, limited
from tests.faults.pipeline import EVERYSEC, NO_AOF, Setup

pytestmark = [pytest.mark.faults, pytest.mark.asyncio(loop_scope="module")]


async def redis_killed_and_back(pipeline):
    """Kill Redis under load; return what it had, and what it has now, of ever appended entries."""
    before = int((await pipeline.bus.command("XINFO STREAM", "ha:raw"))["entries-added"])
    pipeline.redis.kill()
    await pipeline.lives(0.1, 0.6)
    await pipeline.start_redis()
    return before


@fault("F05", "Redis is killed, appendfsync always")
async def redis_killed(pipeline):
    before = await redis_killed_and_back(pipeline)
    return f"killed when {before} entries had been appended"


@fault("F05b", "Redis is killed three times in a row, appendfsync always")
async def redis_killed_thrice(pipeline):
    for _ in range(3):
        await redis_killed_and_back(pipeline)
        await pipeline.lives(0.1, 0.5)
    return "killed three times"


@fault("F06", "Redis is killed, appendfsync everysec", Setup(redis=EVERYSEC))
async def redis_killed_everysec(pipeline):
    before = await redis_killed_and_back(pipeline)
    return f"killed when {before} entries had been appended"


@fault("F07", "Redis is killed and keeps nothing on a disk", Setup(redis=NO_AOF))
async def redis_forgets_all(pipeline):
    before = await pipeline.count("raw")
    for worker in ("ingest", "enrich", "store"):
        pipeline.links[worker].hold()  # so that it can be seen empty
    pipeline.redis.kill()
    await pipeline.start_redis()
    assert before
    assert await pipeline.count("raw") == 0
    return f"{before} entries of ha:raw were gone"


@fault("F18", "FLUSHALL under load")
async def flushed(pipeline):
    before = await pipeline.count("raw")
    assert await pipeline.bus.command("FLUSHALL")
    assert before
    return f"{before} entries of ha:raw were gone"


@fault("F18b", "FLUSHALL, and enrich is killed: it must learn the areas anew")
async def flushed_and_killed(pipeline):
    before = await pipeline.count("raw")
    pipeline.workers["enrich"].kill()
    assert await pipeline.bus.command("FLUSHALL")
    pipeline.workers["enrich"].start()
    assert before
    return f"{before} entries of ha:raw were gone, and enrich knew nothing"


@fault("F15", "Redis is restarted in order")
async def restarted_in_order(pipeline):
    await asyncio.to_thread(pipeline.redis.stop)
    await pipeline.lives(0.2, 0.6)
    await pipeline.start_redis()
    return "SIGTERM, and started again"


@fault("F22", "somebody sets allkeys-lru, and back")
async def eviction_policy_set(pipeline):
    await pipeline.bus.command("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    await pipeline.lives(0.5, 1.0)
    await pipeline.bus.command("CONFIG", "SET", "maxmemory-policy", "noeviction")
    return "the policy was set"


@fault("F21", "Redis fills up while InfluxDB is away: ingest stops, then enrich, store never")
async def fills_up(pipeline):
    await pipeline.drained()
    bus, ingest, enrich = pipeline.bus, pipeline.hears("ingest"), pipeline.hears("enrich")
    await pipeline.links["influxdb"].down()
    async with limited(pipeline):
        await pipeline.happen(50)

        async def store_has_some():
            return (await bus.command("XPENDING", "ha:enriched", "store"))[0]

        await until(store_has_some, 20, "store to hold what it cannot write")
        pipeline.links["enrich"].hold()
        await pipeline.home("set_rate", rate=1500)

        async def ingest_stops():
            await filled(pipeline, 0.5)  # what is kept for inspection only goes meanwhile
            return ingest("events wait in the spool")

        await until(ingest_stops, 30, "ingest to stop")
        assert not enrich("waiting for room"), "enrich stopped before ingest"
        assert await share_of_memory(bus) < 0.80
        await pipeline.home("set_rate", rate=pipeline.setup.rate)
        await filled(pipeline, 0.85)
        pipeline.links["enrich"].let_go()

        async def enrich_stops():
            await filled(pipeline, 0.85)
            return enrich("waiting for room")

        await until(enrich_stops, 30, "enrich to stop")
        await filled(pipeline, 2.0)
        captured = (await pipeline.ledger()).captured
        await pipeline.lives(0.5, 1.0)
        await pipeline.links["influxdb"].heal()
        # Redis stays as full as somebody has made it: all that habus has in it drains.
        await until(pipeline.is_idle, 40, "what is in Redis to be stored")
        assert (await pipeline.ledger()).captured == captured, "ingest had not stopped"
        waiting = captured
    return f"full to the brim, {waiting} entries drained, and ingest went on when there was room"


@pytest.mark.parametrize("fault", params_of(__name__))
async def test_survives(ground, fault):
    """Whatever happens to Redis, each event ends stored, once, and the ledger balances."""
    await ground.survive(fault)

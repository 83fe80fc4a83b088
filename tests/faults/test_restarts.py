"""Everything is restarted again and again, or restored, and faults come together."""

import asyncio
import shutil

import pytest

from tests.fakes.until import until
from tests.faults.fault import fault, params_of
from tests.faults.pipeline import Setup

pytestmark = [pytest.mark.faults, pytest.mark.asyncio(loop_scope="module")]

BACKUPS = Setup(meddled=True)


@fault("F09", "enrich, store and Redis are restarted 20 times in random order")
async def restarted_often(pipeline):
    for _ in range(20):
        name = pipeline.dice.choice(["enrich", "store", "redis"])
        if name == "redis":
            pipeline.redis.kill()
            await pipeline.start_redis()
        else:
            pipeline.workers[name].kill()
            pipeline.workers[name].start()
        await pipeline.lives(0.02, 0.3)
    consumers = [
        len(await pipeline.bus.command("XINFO CONSUMERS", stream, group))
        for stream, group in (("ha:raw", "enrich"), ("ha:enriched", "store"))
    ]
    assert consumers == [1, 1], f"consumers pile up: {consumers}"
    return "20 restarts; still one consumer in each group"


@fault("F09b", "everything is stopped in order and started again, three times")
async def everything_restarted(pipeline):
    for _ in range(3):
        await pipeline.drained()
        for worker in pipeline.workers.values():
            worker.ask_to_stop()
        codes = [await worker.ended(20) for worker in pipeline.workers.values()]
        assert codes == [0] * len(codes)
        await asyncio.to_thread(pipeline.redis.stop)
        await pipeline.start_redis()
        for worker in pipeline.workers.values():
            worker.start()
        await pipeline.subscribed()
        await pipeline.flow()
    return "three times all exit codes were 0"


@fault("F74", "the spool comes back from a backup, older than the stream", BACKUPS)
async def spool_from_backup(pipeline):
    return await restored(pipeline)


@fault(
    "F74c",
    "the same, and an entity had changed whose attributes are too large for history",
    BACKUPS,
)
async def large_attributes_from_backup(pipeline):
    return await restored(pipeline, changes=600)


async def restored(pipeline, changes=0):
    """Put a spool of some seconds before in place of the right one."""
    spool, backup = pipeline.folder / "spool", pipeline.folder / "backup"
    ingest = pipeline.workers["ingest"]
    await pipeline.drained()
    ingest.ask_to_stop()
    assert await ingest.ended(20) == 0
    shutil.copytree(spool, backup)
    ingest.start()
    await pipeline.subscribed()
    await pipeline.flow()
    await pipeline.home("change", count=changes)
    await pipeline.lives(0.5, 1.0)
    await pipeline.drained()
    ingest.ask_to_stop()
    assert await ingest.ended(20) == 0
    shutil.rmtree(spool)
    backup.rename(spool)
    said = pipeline.hears("ingest")
    ingest.start()
    await pipeline.subscribed()
    await until(lambda: said("Fetched what was missed"), 40, "history to be fetched")
    await pipeline.flow()
    return "a spool of some seconds before was put in place of the right one"


@fault("F74b", "Redis comes back from a backup, older than the spool", BACKUPS)
async def redis_from_backup(pipeline):
    files, backup = pipeline.folder / "appendonlydir", pipeline.folder / "backup-redis"
    pipeline.redis.kill()
    shutil.copytree(files, backup)
    await pipeline.start_redis()
    await pipeline.flow()
    await pipeline.lives(1.0, 1.5)
    for link in ("ingest", "enrich", "store"):
        pipeline.links[link].hold()
    before = int((await pipeline.bus.command("XINFO STREAM", "ha:raw"))["entries-added"])
    pipeline.redis.kill()
    shutil.rmtree(files)
    backup.rename(files)
    await pipeline.start_redis()
    after = int((await pipeline.bus.command("XINFO STREAM", "ha:raw"))["entries-added"])
    assert after < before
    return f"Redis came back {before - after} entries older"


@fault("F76", "Redis is killed while store is killed and InfluxDB answers 503")
async def three_at_once(pipeline):
    await pipeline.influxdb("status", code=503)
    pipeline.links["ingest"].latency_s = 0.05
    pipeline.workers["store"].kill()
    pipeline.redis.kill()
    await pipeline.lives(0.3, 0.8)
    await pipeline.start_redis()
    pipeline.workers["store"].start()
    await pipeline.lives(0.5, 1.0)
    return "three faults at the same time"


@fault("F76b", "enrich is killed while links are cut and Redis hangs for a second")
async def three_others_at_once(pipeline):
    pipeline.redis.pause()
    pipeline.workers["enrich"].kill()
    cut = sum(pipeline.links[name].cut() for name in ("ingest", "store", "influxdb"))
    await pipeline.lives(0.8, 1.2)
    pipeline.redis.resume()
    pipeline.workers["enrich"].start()
    assert cut
    return f"three faults at the same time, {cut} connections cut"


@pytest.mark.parametrize("fault", params_of(__name__))
async def test_survives(ground, fault):
    """However often and in whatever order things are restarted, each event is stored once."""
    await ground.survive(fault)

"""Processes are killed, hang and are stopped."""

import asyncio
import signal

import pytest

from tests.fakes.until import until
from tests.faults.fault import fault, params_of
from tests.faults.pipeline import SETTLE, Setup

pytestmark = [pytest.mark.faults, pytest.mark.asyncio(loop_scope="module")]

THREE_ENRICH = Setup(workers=("ingest", "enrich", "enrich-b", "enrich-c", "store", "store-b"))


async def killed_under_load(pipeline, name):
    """Kill a worker that has something in hand, if that can be had; return how much it had."""
    group, stream = {"enrich": ("enrich", "ha:raw"), "store": ("store", "ha:enriched")}[
        name.partition("-")[0]
    ]
    held = 0
    for _ in range(200):
        held = (await pipeline.bus.command("XPENDING", stream, group))[0]
        if held:
            break
        await asyncio.sleep(0.002)
    pipeline.workers[name].kill()
    return f"{name} ended with {pipeline.workers[name].code}, {held} entries were pending"


@fault("F02", "enrich is killed")
async def enrich_killed(pipeline):
    proof = await killed_under_load(pipeline, "enrich")
    await pipeline.lives(0.2, 0.8)
    pipeline.workers["enrich"].start()
    return proof


@fault("F03", "store is killed")
async def store_killed(pipeline):
    proof = await killed_under_load(pipeline, "store")
    await pipeline.lives(0.2, 0.8)
    pipeline.workers["store"].start()
    return proof


@fault("F03b", "store is killed between InfluxDB's 204 and its acknowledgement")
async def store_killed_after_write(pipeline):
    repeated = pipeline.account.repeated
    before = pipeline.sprung("after_write")
    pipeline.lay_trap("after_write")
    await until(lambda: not pipeline.workers["store"].runs, 20, f"the trap at {SETTLE} to spring")
    assert pipeline.workers["store"].code == -signal.SIGKILL
    assert pipeline.sprung("after_write") == before + 1
    pipeline.workers["store"].start()

    async def written_again():
        await pipeline.stored()
        return pipeline.account.repeated > repeated

    await until(written_again, 30, "the batch to be written again")
    return f"killed in settle; {pipeline.account.repeated - repeated} points were written twice"


async def killed_at_once(pipeline, *names):
    for name in names:
        pipeline.workers[name].kill()
    pipeline.redis.kill()
    await pipeline.lives(0.1, 0.4)
    await pipeline.start_redis()
    for name in names:
        pipeline.workers[name].start()
    return f"Redis, {', '.join(names)} were killed"


@fault("F08b", "enrich, store and Redis are killed at once, ingest lives")
async def all_but_ingest_killed(pipeline):
    return await killed_at_once(pipeline, "enrich", "store")


@fault("F10", "ingest hangs for some seconds")
async def ingest_hangs(pipeline):
    told = (await pipeline.home("status"))["sent"]
    pipeline.workers["ingest"].pause()
    captured = (await pipeline.ledger()).captured
    await pipeline.lives(2.0, 3.0)
    assert (await pipeline.ledger()).captured - captured < 50
    waiting = (await pipeline.home("status"))["sent"] - told
    assert waiting > 50
    pipeline.workers["ingest"].resume()
    return f"ingest was stopped while {waiting} events came"


async def hangs_past_its_claim(pipeline, name):
    """Stop a worker that holds entries until another has taken them, then let it go on."""
    stream = {"enrich": "ha:raw", "store": "ha:enriched"}[name]
    worker = pipeline.workers[name]
    mine = []
    for _ in range(100):
        worker.pause()
        await asyncio.sleep(0.02)
        mine = await pipeline.bus.command("XPENDING", stream, name, "-", "+", 1000, name)
        if mine:
            break
        worker.resume()
        await asyncio.sleep(0.005)
    assert mine, f"{name} was never caught with an entry in hand"
    ids = {row[0] for row in mine}

    async def taken():
        left = await pipeline.bus.command("XPENDING", stream, name, "-", "+", 1000, name)
        return not ids & {row[0] for row in left}

    await until(taken, 30, "another worker to take the entries")
    worker.resume()
    return f"{name} slept while another took {len(ids)} entries from it"


@fault("F11", "enrich hangs until another takes its entries, then goes on", THREE_ENRICH)
async def enrich_is_a_zombie(pipeline):
    return await hangs_past_its_claim(pipeline, "enrich")


@fault("F12", "store hangs until another takes its entries, then goes on", THREE_ENRICH)
async def store_is_a_zombie(pipeline):
    return await hangs_past_its_claim(pipeline, "store")


@fault("F02b", "one of three enrich is killed for good, another takes over", THREE_ENRICH)
async def one_of_three_killed(pipeline):
    proof = await killed_under_load(pipeline, "enrich-b")
    await pipeline.lives(1.0, 2.0)
    return proof


@fault("F13", "Redis hangs for longer than an answer may take")
async def redis_hangs(pipeline):
    pipeline.redis.pause()
    await pipeline.lives(4.0, 5.0)
    assert await asyncio.to_thread(pipeline.redis.ask, "PING", timeout_s=0.5) == ""
    pipeline.redis.resume()
    return "Redis was stopped, and did not answer a PING"


@fault("F14", "every worker is stopped in order and started again, at 500 events/s")
async def stopped_in_order(pipeline):
    await pipeline.home("set_rate", rate=500)
    codes = {}
    for name in ("enrich", "store"):
        pipeline.workers[name].ask_to_stop()
        codes[name] = await pipeline.workers[name].ended(10)
        pipeline.workers[name].start()
    assert set(codes.values()) == {0}, codes
    return f"SIGTERM; exit codes {codes}"


@pytest.mark.parametrize("fault", params_of(__name__))
async def test_survives(ground, fault):
    """Whatever happens to a process, each event ends stored, once, and the ledger balances."""
    await ground.survive(fault)

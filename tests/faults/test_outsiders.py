"""Somebody else meddles with the streams: what habus can heal it heals, and the rest it counts."""

import asyncio

import pytest

from tests.fakes.until import until
from tests.faults.fault import fault, params_of
from tests.faults.pipeline import Setup, key_of, pairs_of

pytestmark = [pytest.mark.faults, pytest.mark.asyncio(loop_scope="module")]

MEDDLED = Setup(meddled=True)


@fault("F19", "ha:raw is deleted while enrich waits for it", MEDDLED)
async def raw_deleted(pipeline):
    assert await pipeline.bus.command("DEL", "ha:raw") == 1
    return "the key was there, and deleted"


@fault("F19c", "ha:raw is deleted while much of it is unread, and ingest hangs", MEDDLED)
async def unread_raw_deleted(pipeline):
    pipeline.links["enrich"].hold()
    group = ("XINFO GROUPS", "ha:raw")

    async def much_is_unread():
        return (await pipeline.bus.command(*group))[0]["lag"] > 50

    await until(much_is_unread, 20, "entries to be unread")
    pipeline.workers["ingest"].pause()
    assert await pipeline.bus.command("DEL", "ha:raw") == 1
    pipeline.links["enrich"].let_go()
    await pipeline.lives(1.5, 2.5)  # the ledger is looked after once a second
    unaccounted = (await pipeline.ledger()).unaccounted
    assert unaccounted
    pipeline.workers["ingest"].resume()
    return f"{unaccounted} entries that nobody had settled were deleted"


@fault("F19b", "the consumer groups are destroyed while their consumers wait", MEDDLED)
async def groups_destroyed(pipeline):
    assert await pipeline.bus.command("XGROUP DESTROY", "ha:raw", "enrich") == 1
    assert await pipeline.bus.command("XGROUP DESTROY", "ha:enriched", "store") == 1
    return "both groups were there, and destroyed"


@fault("F20", "a string stands where ha:enriched should be, then the stream again", MEDDLED)
async def wrong_type(pipeline):
    said = pipeline.hears("enrich")
    bus = pipeline.bus
    await bus.commands(
        ("RENAME", "ha:enriched", "aside"), ("SET", "ha:enriched", "a string"), atomic=True
    )
    await until(
        lambda: said("ha:enriched holds a string"), 20, "enrich to say that the type is wrong"
    )
    await pipeline.lives(0.3, 0.8)
    await bus.commands(("DEL", "ha:enriched"), ("RENAME", "aside", "ha:enriched"), atomic=True)
    return "enrich said what is wrong, and went on when the stream was back"


@fault("F53", "the clock of Redis jumps an hour: whatever is pending looks abandoned", MEDDLED)
async def idle_forged(pipeline):
    forged = 0
    pipeline.links["store"].latency_s = 0.05  # so that it can be seen with entries in hand
    for _ in range(300):
        rows = await pipeline.bus.command("XPENDING", "ha:enriched", "store", "-", "+", 100)
        for entry_id, owner, *_ in rows:
            claim = ("XCLAIM", "ha:enriched", "store", owner, 0, entry_id)
            forged += len(await pipeline.bus.command(*claim, "IDLE", 3_600_000, "JUSTID"))
        if forged > 5:
            break
        await asyncio.sleep(0.01)
    assert forged
    return f"{forged} entries in living hands looked an hour old"


async def held_by_store(pipeline):
    """Keep store from Redis, and wait until much is unread."""
    pipeline.links["store"].hold()
    group = ("XINFO GROUPS", "ha:enriched")

    async def much_is_unread():
        return (await pipeline.bus.command(*group))[0]["lag"] > 100

    await until(much_is_unread, 20, "entries to be unread")


@fault("F72", "somebody trims ha:enriched, unread entries go", MEDDLED)
async def trimmed_by_hand(pipeline):
    await held_by_store(pipeline)
    unread = (await pipeline.bus.command("XINFO GROUPS", "ha:enriched"))[0]
    entries = await pipeline.bus.command(
        "XRANGE", "ha:enriched", b"(" + unread["last-delivered-id"], "+"
    )
    taken = [(entry_id, key_of(dict(pairs_of(fields)))) for entry_id, fields in entries[:50]]
    await pipeline.bus.command("XTRIM", "ha:enriched", "MINID", entries[50][0])
    pipeline.account.taken |= {key for _, key in taken}
    return f"{len(taken)} entries that nobody had read were deleted"


@fault("F72b", "somebody deletes the consumer of enrich, and with it what it holds", MEDDLED)
async def consumer_deleted(pipeline):
    await pipeline.home("set_rate", rate=1000)
    held, lost = 0, (await pipeline.ledger()).lost
    for _ in range(500):
        # What enrich has in hand it forwards all the same: only its claim to it is gone.
        held = int(await pipeline.bus.command("XGROUP DELCONSUMER", "ha:raw", "enrich", "enrich"))
        if held:
            break
        await asyncio.sleep(0.002)
    assert held
    await pipeline.stop_flow()

    async def told():
        return (await pipeline.ledger()).lost == lost + held

    await until(told, 30, f"the ledger to tell {held} as lost")
    pipeline.account.read_on()
    missing = pipeline.account.missing - await pipeline.dead()
    assert len(missing) == held, missing
    pipeline.account.taken |= missing
    return f"the consumer was deleted while it held {held} entries, and they were told as lost"


@fault("F73", "a second ingest is started on the same spool")
async def second_on_spool(pipeline):
    return await refused(pipeline, pipeline.another("ingest"), "another ingest has the spool")


@fault("F73b", "a second ingest with a spool of its own is started on the same stream")
async def second_on_stream(pipeline):
    other = str(pipeline.folder / "other" / "spool.db")
    twin = pipeline.another("ingest", INGEST_SPOOL_PATH=other, WORKER_NAME="other")
    return await refused(pipeline, twin, "another ingest writes")


async def refused(pipeline, twin, words):
    """Start a second ingest; it must end by itself with these words, and disturb nobody."""
    twin.start()
    try:
        code = await twin.ended(30)
    finally:
        await twin.end()
    assert code == 1, (code, twin.last_words())
    assert words in twin.last_words()
    assert pipeline.workers["ingest"].runs
    return f"the second ended with {code}: {words}"


@pytest.mark.parametrize("fault", params_of(__name__))
async def test_survives(ground, fault):
    """Whatever others do to the streams, each event ends stored, once, or is told as lost."""
    await ground.survive(fault)

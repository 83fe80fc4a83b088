"""Single events that kill, hang or are refused: they die alone, and nobody with them."""

import asyncio

import pytest

from common.event import time_of
from tests.fakes.until import until
from tests.faults.fault import fault, params_of
from tests.faults.memory import filled, limited
from tests.faults.pipeline import Setup

pytestmark = [pytest.mark.faults, pytest.mark.asyncio(loop_scope="module")]

DEATHS = 3
"""Process deaths after which an event is buried: the default of BUS_MAX_DELIVERIES."""

MEDDLED = Setup(meddled=True)

names = (f"sensor.poison_{n}" for n in range(10_000))
"""Each poison is a new entity."""


async def poisoned(pipeline, trap, room, count=1, between=None):
    """Let deadly events come in the middle of a batch; restart the worker until they are buried.

    Args:
        pipeline: Under load.
        trap: What they do.
        room: Whose worker they do it to.
        count: How many there are.
        between: Called after each death.
    """
    await pipeline.drained()
    pipeline.links[room].hold()
    await pipeline.happen(50)
    deadly = {await pipeline.appear(next(names)) for _ in range(count)}
    await pipeline.happen(50)
    before = pipeline.sprung(trap)
    pipeline.lay_trap(trap, *(f"time='{time_of(us)}'" for us, _ in deadly))
    pipeline.expected_dead |= deadly
    pipeline.links[room].let_go()
    for name in {name for _, name in deadly}:
        await pipeline.home("remove", entity_id=name)
    await pipeline.home("set_rate", rate=pipeline.setup.rate)
    worker = pipeline.workers[room]

    async def buried():
        if not worker.runs:
            if between is not None:
                await between()
            worker.start()
        return deadly <= await pipeline.dead()

    await until(buried, 50, "the poison to be buried")
    return pipeline.sprung(trap) - before


@fault("F60", "an event kills enrich, in the middle of a batch")
async def kills_enrich(pipeline):
    deaths = await poisoned(pipeline, "poison", "enrich")
    assert deaths == DEATHS
    return f"enrich died {deaths} times of it"


@fault("F60b", "an event kills store, in the middle of a batch")
async def kills_store(pipeline):
    deaths = await poisoned(pipeline, "poison_point", "store")
    assert deaths == DEATHS
    return f"store died {deaths} times of it"


@fault("F61", "an event wants more memory than there is")
async def wants_memory(pipeline):
    deaths = await poisoned(pipeline, "memory", "enrich")
    assert deaths
    return f"it ran out of memory {deaths} times"


@fault("F62", "an event lets enrich hang for good")
async def hangs_enrich(pipeline):
    deaths = await poisoned(pipeline, "endless", "enrich")
    assert deaths == DEATHS
    return f"enrich was cut off {deaths} times"


@fault("F63", "an event kills enrich, and Redis is killed between the deaths")
async def kills_enrich_and_redis(pipeline):
    async def between():
        pipeline.redis.kill()
        await pipeline.start_redis()

    deaths = await poisoned(pipeline, "poison", "enrich", between=between)
    assert deaths >= DEATHS
    return f"enrich died {deaths} times of it, and Redis with it"


@fault("F64", "two events in one batch kill enrich")
async def two_kill_enrich(pipeline):
    deaths = await poisoned(pipeline, "poison", "enrich", count=2)
    assert deaths >= 2 * DEATHS - 1
    return f"enrich died {deaths} times of them"


@fault("F65", "enrich is started again and again with a setting it cannot read")
async def crash_loop(pipeline):
    worker = pipeline.workers["enrich"]
    worker.kill()
    good = worker.environment
    worker.environment = good | {"BUS_MAX_DELIVERIES": "many"}
    codes = []
    for _ in range(4):
        worker.start()
        codes.append(await worker.ended(20))
    worker.environment = good
    worker.start()
    assert codes == [2] * 4, codes
    return "it ended 4 times with code 2"


async def refused_alone(pipeline, count, order, **arguments):
    """Let one point of many be refused, together with others of one batch; all requests it took."""
    await pipeline.drained()
    pipeline.links["store"].hold()
    await pipeline.happen(count)
    bad = await pipeline.appear(name := next(names))
    await pipeline.home("remove", entity_id=name)
    await pipeline.happen(count)
    pipeline.account.read_on()
    await pipeline.influxdb(order, marker=name, **arguments)
    refused = {key for key in pipeline.account.owed if key[1] == name}
    assert bad in refused
    pipeline.expected_dead |= refused
    before = await pipeline.influxdb_requests()
    pipeline.links["store"].let_go()

    async def buried():
        return refused <= await pipeline.dead()

    await until(buried, 40, "the refused points to be buried")
    return await pipeline.influxdb_requests() - before


@fault("F37", "InfluxDB cannot parse one entity's lines, and refuses the batch (400)")
async def malformed_line(pipeline):
    requests = await refused_alone(pipeline, 450, "fail_at", code=400)
    return f"{requests} requests for it and its batch"


@fault("F31c", "InfluxDB fails at one entity's lines (500), and takes all others")
async def sick_at_one(pipeline):
    requests = await refused_alone(pipeline, 100, "fail_at", code=500)
    return f"{requests} requests for it and its batch"


async def all_refused(pipeline, count, order, **arguments):
    """Let InfluxDB refuse everything of a while, point by point."""
    await pipeline.drained()
    await pipeline.influxdb(order, **arguments)
    bad = await pipeline.happen(count)
    pipeline.expected_dead |= bad
    before = await pipeline.influxdb_requests()

    async def buried():
        return bad <= await pipeline.dead()

    await until(buried, 40, "all to be buried")
    requests = await pipeline.influxdb_requests() - before
    assert pipeline.workers["store"].runs
    assert requests <= 4 * count + 200, requests
    return f"{len(bad)} of {len(bad)} were refused, in {requests} requests"


@fault("F40", "all points of a while are beyond the bucket's retention (422)")
async def beyond_retention(pipeline):
    return await all_refused(pipeline, 30, "forget_after", seconds=0.000001)


@fault("F39b", "InfluxDB takes no request as large as any point (413)")
async def too_large_alone(pipeline):
    return await all_refused(pipeline, 20, "take_at_most", size=5)


@fault("F39", "InfluxDB takes no request above 2 kB (413)")
async def too_large_together(pipeline):
    await pipeline.drained()
    await pipeline.influxdb("take_at_most", size=2000)
    pipeline.links["store"].hold()
    many = await pipeline.happen(300)
    before = await pipeline.influxdb_requests()
    pipeline.links["store"].let_go()

    async def stored():
        await pipeline.stored()
        return many <= pipeline.account.points.keys()

    await until(stored, 40, "all to be stored in small parts")
    requests = await pipeline.influxdb_requests() - before
    assert requests > 20
    return f"{len(many)} points went out in {requests} requests"


@fault("F70", "Redis is full to the brim when points are to be buried: they are")
async def full_at_a_burial(pipeline):
    bad = await refused_and_held(pipeline)
    async with limited(pipeline):
        await filled(pipeline, 2.0)
        pipeline.links["store"].let_go()

        async def buried():
            return bad <= await pipeline.dead()

        await until(buried, 40, "all to be buried: else nothing behind them could drain")
    return f"{len(bad)} points were buried though Redis was full"


@fault("F70b", "the dead letters cannot take any: store waits with what is to be buried", MEDDLED)
async def no_letters_taken(pipeline):
    bad = await refused_and_held(pipeline)
    said = pipeline.hears("store")
    bus = pipeline.bus
    await bus.command("XGROUP", "CREATE", "ha:dead", "nobody", "$", "MKSTREAM")
    await bus.commands(("RENAME", "ha:dead", "aside"), ("SET", "ha:dead", "a string"), atomic=True)
    pipeline.links["store"].let_go()
    await until(lambda: said("ha:dead holds a string"), 30, "store to say what is wrong")
    await pipeline.lives(0.5, 1.0)
    assert await all_enriched(pipeline, len(bad)), "something was acknowledged"
    await bus.commands(("DEL", "ha:dead"), ("RENAME", "aside", "ha:dead"), atomic=True)

    async def buried():
        return bad <= await pipeline.dead()

    await until(buried, 40, "all to be buried when they can be")
    return f"{len(bad)} points waited with store until they could be buried"


async def refused_and_held(pipeline):
    """Let InfluxDB refuse some points that wait for store, which is kept from Redis."""
    await pipeline.drained()
    pipeline.links["store"].hold()
    bad = await pipeline.happen(20)
    await pipeline.influxdb("take_at_most", size=5)
    pipeline.expected_dead |= bad
    await until(lambda: all_enriched(pipeline, len(bad)), 20, "all to be enriched")
    return bad


async def all_enriched(pipeline, count):
    """Whether so many entries wait for store, or in its hands."""
    groups = await pipeline.bus.command("XINFO GROUPS", "ha:enriched")
    return sum(group["pending"] + (group["lag"] or 0) for group in groups) == count


@fault("F36", "a field's type in InfluxDB is not ours (422): its points die, no others", Setup())
async def type_conflict(pipeline):
    await pipeline.drained()
    domain = f"odd{pipeline.account.last_n}"
    await pipeline.write_point(f'{domain} value="a text",available="another"')
    pipeline.links["store"].hold()
    await pipeline.happen(200)
    await pipeline.appear(f"{domain}.thing")
    await pipeline.happen(200)
    await pipeline.home("remove", entity_id=f"{domain}.thing")
    pipeline.account.read_on()
    bad = {key for key in pipeline.account.owed if key[1].startswith(domain)}
    pipeline.expected_dead |= bad
    before = await pipeline.influxdb_requests()
    pipeline.links["store"].let_go()

    async def buried():
        return bad <= await pipeline.dead()

    await until(buried, 40, "the conflicting points to be buried")
    await asyncio.sleep(0)
    return f"{len(bad)} in conflict, {await pipeline.influxdb_requests() - before} requests"


@pytest.mark.parametrize("fault", params_of(__name__))
async def test_survives(ground, fault):
    """An event that cannot be digested is buried alone; no innocent goes with it."""
    await ground.survive(fault)

"""The network between the parts is slow, silent, in crumbs, and cut."""

import pytest

from tests.fakes.until import until
from tests.faults.fault import fault, params_of

pytestmark = [pytest.mark.faults, pytest.mark.asyncio(loop_scope="module")]

TO_REDIS = ("ingest", "enrich", "store")


async def meanwhile(pipeline, links, least_s, most_s, *signs):
    """Let the toxics of some links work for a while; return what they did, which must be much."""
    before = {sign: sum(pipeline.links[link].happened[sign] for link in links) for sign in signs}
    await pipeline.lives(least_s, most_s)
    done = {
        sign: sum(pipeline.links[link].happened[sign] for link in links) - before[sign]
        for sign in signs
    }
    for link in links:
        await pipeline.links[link].heal()
    assert all(done.values()), done
    return ", ".join(f"{count} × {sign}" for sign, count in done.items())


@fault("F23", "Redis is 300 ms away, at 50 kB/s")
async def slow_redis(pipeline):
    for link in TO_REDIS:
        pipeline.links[link].latency_s = 0.3
        pipeline.links[link].bytes_per_s = 50_000
    proof = await meanwhile(pipeline, TO_REDIS, 3.0, 4.0, "late", "throttled")
    status = await pipeline.home("status")
    assert status["pending"] < 1024, "ingest slowed Home Assistant down"
    return proof


@fault("F24", "the way to Redis is silent, nothing is refused")
async def silent_redis(pipeline):
    for link in TO_REDIS:
        pipeline.links[link].hold()
    proof = await meanwhile(pipeline, TO_REDIS, 4.0, 5.0, "held")
    assert "Redis does not answer" in pipeline.workers["enrich"].last_words()
    return proof


@fault("F25", "connections to Redis are reset in the middle of a pipeline")
async def reset_in_pipeline(pipeline):
    done = 0
    for _ in range(3):
        link = pipeline.links["ingest"]
        before = link.happened["limited"]
        link.cut_after(pipeline.dice.randrange(200, 20_000))
        await until(lambda b=before, lk=link: lk.happened["limited"] > b, 20, "the limit")
        done += 1
    return f"reset {done} times within a request"


@fault("F25b", "the answers of Redis are lost, what was asked has taken effect")
async def answers_lost(pipeline):
    cut = 0
    for link in TO_REDIS:
        pipeline.links[link].latency_s = 0.05
    for _ in range(4):
        await pipeline.lives(0.2, 0.4)
        cut += sum(pipeline.links[link].cut() for link in TO_REDIS)
    assert cut
    return f"{cut} connections were cut while an answer was on its way"


@fault("F26", "Redis's bytes come in crumbs")
async def crumbs(pipeline):
    for link in TO_REDIS:
        pipeline.links[link].slice_bytes = 3
    return await meanwhile(pipeline, TO_REDIS, 1.5, 2.5, "sliced")


@fault("F27", "each link but Home Assistant's is cut again and again")
async def flapping(pipeline):
    cut = 0
    for _ in range(6):
        await pipeline.lives(0.1, 0.5)
        link = pipeline.dice.choice([*TO_REDIS, "influxdb"])
        cut += pipeline.links[link].cut()
    assert cut
    return f"{cut} connections were cut"


@fault("F27b", "Redis refuses connections for a while")
async def refused(pipeline):
    for link in TO_REDIS:
        await pipeline.links[link].down()
    await pipeline.lives(1.5, 2.5)
    assert "Redis does not answer" in pipeline.workers["enrich"].last_words()
    return "nothing listened at Redis's address"


@pytest.mark.parametrize("fault", params_of(__name__))
async def test_survives(ground, fault):
    """Whatever happens to the network, each event ends stored, once, and the ledger balances."""
    await ground.survive(fault)

"""InfluxDB is away, slow, full, broken, misconfigured, and refuses what it is sent."""

import re

import pytest

from tests.fakes.until import until
from tests.faults.fault import Injection, fault, params_of

pytestmark = [pytest.mark.faults, pytest.mark.asyncio(loop_scope="module")]


async def told(pipeline, words, order, **arguments):
    """Let InfluxDB misbehave until store has said so, and a bit longer."""
    said = pipeline.hears("store")
    await pipeline.influxdb(order, **arguments)
    await until(lambda: said(words), 30, f"store to say {words!r}")
    await pipeline.lives(0.2, 0.6)
    return f"store said {words!r}"


def answers(fault_id: str, name: str, words: str, order: str, **arguments: object) -> None:
    """Note a fault that is one answer of InfluxDB, which store names in its log."""

    async def inject(pipeline):
        return await told(pipeline, words, order, **arguments)

    inject.__name__ = "_".join(re.findall(r"\w+", name.lower()))
    noted: Injection = inject
    fault(fault_id, name)(noted)


answers("F29", "InfluxDB answers 503", "(503", "status", code=503)
answers("F29b", "InfluxDB answers 503, Retry-After 1", "(503", "status", code=503, retry_after="1")
for number, junk in enumerate(("junk", "-1", "1e9", "Wed, 21 Oct 2015 07:28:00 GMT")):
    answers(
        f"F29{'cdef'[number]}",
        f"InfluxDB answers 503, Retry-After {junk}",
        *("(503", "status"),
        code=503,
        retry_after=junk,
    )
answers("F30", "InfluxDB answers 429 to all", "(429", "status", code=429)
answers("F31b", "InfluxDB answers 500 to all", "(500", "status", code=500)
answers(
    "F32", "the answer of InfluxDB comes one byte a second", "did not answer", "drip", seconds=1
)
answers("F35", "a captive portal answers 200 in HTML", "(200", "html")
answers("F35b", "InfluxDB answers 302", "(302", "redirect")
answers("F35c", "InfluxDB answers 200 to a write", "(200", "status", code=200)
answers("F41", "InfluxDB answers 401", "(401", "unauthorized")
answers("F41b", "InfluxDB answers 403", "(403", "status", code=403, message="forbidden")
answers(
    *("F42", "the bucket is deleted, and made again", "(404", "status"),
    code=404,
    message='bucket "home_assistant" not found',
)


@fault("F28", "InfluxDB refuses connections")
async def refused(pipeline):
    said = pipeline.hears("store")
    await pipeline.links["influxdb"].down()
    await until(lambda: said("nothing listens"), 30, "store to say that nothing listens")
    captured = (await pipeline.ledger()).captured
    await pipeline.lives(1.0, 2.0)
    assert (await pipeline.ledger()).captured > captured + 50, "ingest was disturbed"
    return "store said that nothing listens; ingest and enrich went on"


async def written_twice(pipeline, order, times=2):
    """Let writes take effect without an answer; return how many points were written again."""
    await pipeline.stored()
    before = pipeline.account.repeated
    await pipeline.influxdb(order, times=times)

    async def again():
        await pipeline.stored()
        return pipeline.account.repeated > before

    await until(again, 40, "a batch to be written again")
    return f"{pipeline.account.repeated - before} points were written again"


@fault("F31", "InfluxDB stores the batch and never answers")
async def stored_and_silent(pipeline):
    return await written_twice(pipeline, "store_then_time_out", times=1)


@fault("F33", "InfluxDB stores half of the batch and answers 500")
async def half_written(pipeline):
    return await written_twice(pipeline, "half_written_then_500")


@fault("F34", "InfluxDB resets the connection within its answer")
async def reset_in_reply(pipeline):
    return await written_twice(pipeline, "reset_in_reply")


@fault("F34b", "InfluxDB resets the connection within the request")
async def reset_in_body(pipeline):
    return await told(pipeline, "broke the connection", "reset_in_body")


@pytest.mark.parametrize("fault", params_of(__name__))
async def test_survives(ground, fault):
    """Whatever InfluxDB does, each event ends stored, once, and no innocent is buried."""
    await ground.survive(fault)

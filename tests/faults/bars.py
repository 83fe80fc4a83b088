"""Long outages under load, and how soon everything is well after them.

Usage: python -m tests.faults.bars redis|influxdb [--seconds 300] [--rate 200]
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from random import SystemRandom

from tests.faults.pipeline import Pipeline, Setup
from tests.faults.soak import say

DRAINED_WITHIN_S = 60.0
"""Seconds after the end of an outage within which all of it must be in the sink."""

MINUTES = {"redis": 5, "influxdb": 10}
"""How long each is away where nothing else is said."""


async def redis_away(pipeline: Pipeline, seconds: float) -> None:
    """Redis is killed, and started again."""
    pipeline.redis.kill()
    await asyncio.sleep(seconds)
    await pipeline.start_redis()


async def influxdb_away(pipeline: Pipeline, seconds: float) -> None:
    """InfluxDB refuses connections; ingest and enrich must not notice."""
    await pipeline.links["influxdb"].down()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        await asyncio.sleep(min(5.0, max(0.0, end - time.monotonic())))
        behind = (await pipeline.bus.command("XINFO GROUPS", "ha:raw"))[0]
        assert behind["lag"] + behind["pending"] < pipeline.setup.rate * 5, "enrich was disturbed"
        assert not await pipeline.dead(), "an innocent was buried"
    await pipeline.links["influxdb"].up()


OUTAGES: dict[str, Callable[[Pipeline, float], Awaitable[None]]] = {
    "redis": redis_away,
    "influxdb": influxdb_away,
}


async def bar(name: str, seconds: float, rate: float) -> int:
    """Hold one bar; 0 when it is held.

    Args:
        name: What is away.
        seconds: How long.
        rate: Events a second meanwhile.
    """
    seed = SystemRandom().randrange(2**31)
    with tempfile.TemporaryDirectory(prefix="bar") as folder:
        async with Pipeline(Path(folder), Setup(rate=rate), seed) as pipeline:
            await pipeline.flow()
            await asyncio.sleep(1)
            await OUTAGES[name](pipeline, seconds)
            ended = time.monotonic()
            pipeline.account.read_on()
            until_n, sent = pipeline.account.last_n, len(pipeline.account.owed)
            drained_s, late = await pipeline.settled(until_n, ended, only_until=True)
            time_s = time.monotonic() - ended if late else drained_s
            await pipeline.stop_flow()
            _, waits = await pipeline.settled(until_n, time.monotonic())
            broken = await pipeline.audited()
            if late or drained_s > DRAINED_WITHIN_S:
                broken["not drained in time"] = [*late, f"{drained_s:.1f} s"]
            if waits:
                broken["not well"] = waits
            if not await in_order(pipeline):
                broken["out of order in ha:raw"] = [""]
            ledger = await pipeline.ledger()
    say(
        f"{name} away for {seconds:g} s at {rate:g} events/s: {sent} events had been sent, "
        f"{'not all' if late else 'all'} in the sink {time_s:.1f} s after it was back; {ledger}"
    )
    for what, examples in broken.items():
        say(f"BROKEN {what}: {'; '.join(examples)}")
    return 1 if broken else 0


async def in_order(pipeline: Pipeline) -> bool:
    """Whether live events stand in `ha:raw` in the order in which they happened."""
    last, start = "", "-"
    while True:
        entries = await pipeline.bus.command("XRANGE", "ha:raw", start, "+", "COUNT", 5000)
        if not entries:
            return True
        for _, fields in entries:
            if fields[b"source"] == b"live":
                if fields[b"time"].decode() < last:
                    return False
                last = fields[b"time"].decode()
        start = b"(" + entries[-1][0]


def main() -> int:
    """Hold the bar that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.bars", description=__doc__)
    parser.add_argument("name", choices=sorted(OUTAGES))
    parser.add_argument("--seconds", type=float, default=0.0, help="how long it is away")
    parser.add_argument("--rate", type=float, default=200.0, help="events a second")
    asked = parser.parse_args()
    seconds = asked.seconds or MINUTES[asked.name] * 60.0
    return asyncio.run(bar(asked.name, seconds, asked.rate))


if __name__ == "__main__":
    sys.exit(main())

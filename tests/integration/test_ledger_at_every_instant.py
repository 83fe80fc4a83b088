"""The ledger under load, while workers and Redis are killed: it balances whenever one looks."""

import asyncio
import random
from functools import partial

import pytest

from common.bus import DeadLetters, Filter, Keys, RawStream, Row, Streams, Tally, connect
from common.errors import BusUnavailable, DeadLetterNotFound
from common.heartbeat import read_pulses
from common.ledger import read_ledger
from common.lifecycle import patiently
from tests.fakes.bus import CHANGE, SPOOL, START_MS, event, letter_row
from tests.fakes.redis_server import RedisServer
from tests.fakes.until import until
from tests.fakes.worker_process import WorkerProcesses

pytestmark = pytest.mark.integration

KEYS = Keys()
BATCH = 50
BATCHES = 60


class Load:
    """Everything that changes a counter, as fast as it goes, through outages."""

    def __init__(self, url):
        self.url = url
        self.done = asyncio.Event()
        self.looks = 0
        self.wrong = []

    async def capture(self):
        """Append batches as ingest does, one letter and two that cannot be enriched in each."""
        async with connect(self.url) as bus:
            raw = RawStream(bus, SPOOL)
            for start in range(1, BATCH * BATCHES, BATCH):
                batch = [
                    Row(n, START_MS, event(n, data=b"{nope" if n % 10 == 7 else CHANGE), [])
                    for n in range(start, start + BATCH)
                ]
                batch[20] = letter_row(start + 20)
                tally = Tally(filtered=start * 2, duplicates=start)
                await patiently(partial(self.append, raw, batch, tally), self.done, "Redis")
                await asyncio.sleep(0.03)

    async def append(self, raw, batch, tally):
        await raw.own()
        await raw.append(batch, tally)

    async def people(self):
        """Hand in, replay and purge."""
        dice = random.Random(7)  # noqa: S311 - a test that can be repeated
        async with connect(self.url) as bus:
            letters, streams = DeadLetters(bus), Streams(bus)
            for n in range(10**6, 10**7):
                if self.done.is_set():
                    return
                try:
                    await streams.inject(event(n, data=CHANGE))
                    for letter in await letters.page(Filter(), 3):
                        if dice.random() < 0.5:
                            await letters.replay(letter.id)
                        else:
                            await letters.purge([letter.id])
                except (BusUnavailable, DeadLetterNotFound):
                    await asyncio.sleep(0.05)
                await asyncio.sleep(0.01)

    async def watch(self):
        """Look at the ledger again and again."""
        async with connect(self.url) as bus:
            while not self.done.is_set():
                try:
                    ledger = await read_ledger(bus)
                except BusUnavailable:
                    await asyncio.sleep(0.02)
                    continue
                self.looks += 1
                if ledger.unaccounted or ledger.lost or ledger.redelivered:
                    self.wrong.append(ledger)
                await asyncio.sleep(0)


async def test_the_ledger_balances_at_every_instant(tmp_path):
    """Workers and Redis are killed again and again; nobody ever sees a sum that is wrong."""
    folder = tmp_path / "redis"
    folder.mkdir()
    with RedisServer(folder, appendonly="yes", appendfsync="always") as server:
        load = Load(server.url)
        workers = WorkerProcesses(tmp_path, REDIS_URL=server.url)
        async with workers.start("enrich", "store"), asyncio.TaskGroup() as tasks:
            watching = tasks.create_task(load.watch())
            people = tasks.create_task(load.people())
            capture = tasks.create_task(load.capture())

            async def stored(count):
                async with connect(server.url) as bus:
                    return (await read_ledger(bus)).stored >= count

            for count in (100, 400, 700, 1000):
                await until(lambda count=count: stored(count), within_s=60)
                for stage in ("enrich", "store"):
                    workers.kill(stage)
                    workers.start(stage)
                server.kill()
                server.start()
            await capture
            await asyncio.sleep(0)

            async def drained():
                async with connect(server.url) as bus:
                    alive = {pulse.pid for pulse in await read_pulses(bus)}
                    at_work = {workers.pid(stage) for stage in ("enrich", "store")} <= alive
                    return at_work and (await read_ledger(bus)).in_flight == 0

            load.done.set()
            await people
            await watching
            await until(drained, within_s=60)
        async with connect(server.url) as bus:
            ledger = await read_ledger(bus)
    assert load.looks > 100
    assert load.wrong == []
    assert (ledger.unaccounted, ledger.lost, ledger.redelivered) == (0, 0, 0)
    assert ledger.captured >= BATCH * BATCHES

"""Events that kill, hang or stop their worker, seen from outside: real processes, real deaths."""

import os
import signal
from pathlib import Path

import pytest

from common.bus import ENRICH, STORE, Keys, RawStream, Row, Tally, connect
from common.errors import BusUnavailable
from tests.fakes.bus import CHANGE, SPOOL, START_MS, balanced, event, field_values, pending
from tests.fakes.deadly_worker import MARK
from tests.fakes.redis_server import RedisServer
from tests.fakes.stored import stored_rows
from tests.fakes.until import until
from tests.fakes.worker_process import WorkerProcesses

pytestmark = pytest.mark.integration

KEYS = Keys()
COUNT = 20
DEADLY = CHANGE.replace(b"21.5", MARK)


@pytest.fixture
def server(tmp_path):
    folder = tmp_path / "redis"
    folder.mkdir()
    with RedisServer(folder, appendonly="yes", appendfsync="always") as running:
        yield running


@pytest.fixture
async def bus(server):
    async with connect(server.url) as opened:
        yield opened


async def capture(bus, deadly):
    """Append `COUNT` events; those with these numbers are deadly."""
    raw = RawStream(bus, SPOOL)
    await raw.own()
    events = [event(n, data=DEADLY if n in deadly else CHANGE) for n in range(1, COUNT + 1)]
    await raw.append([Row(n, START_MS, e, []) for n, e in enumerate(events, 1)], Tally())
    return [e.id for e in events]


async def live(bus, workers, stage, between=lambda: None):
    """Start the stage again whenever it dies, until nothing is in flight; return its deaths."""
    deaths = 0
    while True:
        workers.start(stage)

        async def ended_or_done():
            return workers.has_ended(stage) or await is_done(bus, stage)

        await until(ended_or_done, within_s=60, what="the end of the worker, or of its work")
        if not workers.has_ended(stage):
            return deaths
        await workers.ended(stage)
        deaths += 1
        between()


async def is_done(bus, stage):
    counter = {ENRICH: "enriched", STORE: "stored"}[stage]
    try:
        ledger = await balanced(bus)
    except BusUnavailable:  # a connection that was open when Redis was killed
        return False
    return getattr(ledger, counter) + ledger.dead == COUNT


@pytest.mark.parametrize(
    ("how", "deadly"),
    [
        ("kill", {1, COUNT}),
        ("kill", {7, 8}),
        ("memory", {7}),
        ("hang", {7}),
        ("hang_in_c", {7}),
    ],
    ids=str,
)
async def test_exactly_the_deadly_event_is_buried(tmp_path, server, bus, how, deadly):
    """Whatever it does to its process: after three deaths it is a letter, and no innocent is."""
    ids = await capture(bus, deadly)
    async with deadly_workers(tmp_path, server, how) as workers:
        deaths = await live(bus, workers, ENRICH)
    assert 3 <= deaths <= 3 * len(deadly)
    assert await field_values(bus, KEYS.dead, "id") == [ids[n - 1] for n in sorted(deadly)]
    assert set(await field_values(bus, KEYS.dead, "dead_reason")) == {"delivery_limit"}
    innocent = [one for n, one in enumerate(ids, 1) if n not in deadly]
    assert sorted(await field_values(bus, KEYS.enriched, "id")) == sorted(innocent)
    assert ("most recent call first" in workers.said(ENRICH)) == how.startswith("hang")
    if how == "hang":
        assert "in hang" in workers.said(ENRICH)


async def test_deaths_count_though_redis_is_killed_between_them(tmp_path, server, bus):
    """An event that takes Redis with it each time reaches its limit all the same."""
    ids = await capture(bus, {9})

    def kill_redis():
        server.kill()
        server.start()

    async with deadly_workers(tmp_path, server, "kill") as workers:
        assert await live(bus, workers, ENRICH, kill_redis) == 3
    assert await field_values(bus, KEYS.dead, "id") == [ids[8]]
    assert (await balanced(bus)).enriched == COUNT - 1


async def test_store_buries_exactly_the_event_that_kills_it(tmp_path, server, bus):
    """What kills `store` is buried by `store`, and every other event stands in the sink."""
    ids = await capture(bus, {7})
    async with WorkerProcesses(tmp_path, REDIS_URL=server.url) as workers:
        await live(bus, workers, ENRICH)
    async with deadly_workers(tmp_path, server, "kill") as workers:
        assert await live(bus, workers, STORE) == 3
    assert await field_values(bus, KEYS.dead, "id") == [ids[6]]
    assert await field_values(bus, KEYS.dead, "dead_stage") == [STORE]
    assert (await balanced(bus)).stored == COUNT - 1


@pytest.mark.parametrize("stage", [ENRICH, STORE])
async def test_a_worker_that_wakes_up_too_late_does_no_harm(tmp_path, server, bus, stage):
    """Stopped with a batch in hand, taken for dead, and woken: the batch is not its any more."""
    await capture(bus, {7})
    stream = {ENRICH: KEYS.raw, STORE: KEYS.enriched}[stage]
    quick = WorkerProcesses(tmp_path, WORKER_NAME="quick", REDIS_URL=server.url)
    async with quick, deadly_workers(tmp_path, server, "stop", WORKER_NAME="slow") as slow:
        if stage == STORE:
            await live(bus, quick, ENRICH)
        slow.start(stage)
        await until(lambda: is_stopped(slow.pid(stage)), within_s=60)
        held = await pending(bus, stream, stage)
        assert {owner for owner, _ in held.values()} == {b"slow"}
        long_ago = ("IDLE", 3_600_000, "RETRYCOUNT", 1, "JUSTID")
        await bus.command("XCLAIM", stream, stage, "slow", 0, *held, *long_ago)
        await bus.delete(KEYS.worker(stage, "slow"))
        await live(bus, quick, stage)
        os.kill(slow.pid(stage), signal.SIGCONT)
        await until(lambda: "that another worker took" in slow.said(stage), within_s=60)
    ids = await field_values(bus, KEYS.enriched, "id")
    assert len(ids) == len(set(ids)) == COUNT
    ledger = await balanced(bus)
    assert (ledger.enriched, ledger.dead) == (COUNT, 0)
    if stage == STORE:
        assert len(stored_rows(slow.sink)) == ledger.stored == COUNT


def is_stopped(pid):
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def deadly_workers(folder, server, how, **settings):
    return WorkerProcesses(
        folder, "tests.fakes.deadly_worker", REDIS_URL=server.url, DEADLY=how, **settings
    )

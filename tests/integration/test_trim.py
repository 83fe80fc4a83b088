"""Trimming on a real Redis: never what a group still needs."""

import asyncio
import random

import pytest

from common.bus import ENRICH, Keys, connect, keep_trimmed
from common.bus import trim as trim_module
from common.bus.trim import forget_consumers, share_of_memory, trim
from common.heartbeat import Heartbeat
from tests.fakes.bus import append, append_enriched, balanced
from tests.fakes.redis_server import RedisServer
from tests.fakes.until import until

pytestmark = pytest.mark.integration

KEYS = Keys()
STREAM = KEYS.inbox
OF_NO_ONE = "ha:of-no-one"


@pytest.fixture
async def bus(redis_url):
    async with connect(redis_url) as opened:
        yield opened


async def read(bus, group, count, stream=STREAM):
    """Deliver entries to a group; return their ids."""
    reply = await bus.command(
        "XREADGROUP", "GROUP", group, "me", "COUNT", count, "STREAMS", stream, ">"
    )
    return [entry_id for entry_id, _ in reply[0][1]] if reply else []


async def left(bus, stream=STREAM):
    return [entry_id for entry_id, _ in await bus.command("XRANGE", stream, "-", "+")]


async def fill(bus, count, first=1, stream=STREAM):
    for n in range(first, first + count):
        await bus.command("XADD", stream, f"{n}-0", "n", n)


@pytest.fixture
async def exact(bus):
    # Each entry is a node of its own, so that trimming takes all that it may.
    await bus.command("CONFIG SET", "stream-node-max-entries", "1")
    yield
    await bus.command("CONFIG SET", "stream-node-max-entries", "100")


@pytest.mark.usefixtures("exact")
async def test_ids_of_a_wrong_clock_keep_nothing_for_ever(bus):
    """After a far-future id no age is known: what is acknowledged goes, what is not stays."""
    await fill(bus, 3, first=4_102_444_800_000)
    await bus.command("XGROUP", "CREATE", STREAM, "a", "0")
    first, *_ = await read(bus, "a", 2)
    await bus.command("XACK", STREAM, "a", first)
    assert await trim(bus, STREAM, 3600.0) == 1
    assert len(await left(bus)) == 2


@pytest.mark.usefixtures("exact")
async def test_what_everyone_acknowledged_is_trimmed(bus):
    """Old entries below the oldest that any group needs go, the others stay."""
    await fill(bus, 10)
    for group in ("a", "b"):
        await bus.command("XGROUP", "CREATE", STREAM, group, "0")
    await bus.command("XACK", STREAM, "a", *await read(bus, "a", 10))
    held = await read(bus, "b", 6)
    await bus.command("XACK", STREAM, "b", *held[:3], held[4])
    assert await trim(bus, STREAM, 0.0) == 3
    assert (await left(bus))[0] == b"4-0"
    await bus.command("XACK", STREAM, "b", *held)
    await trim(bus, STREAM, 0.0)
    assert (await left(bus))[-4:] == [b"7-0", b"8-0", b"9-0", b"10-0"]


@pytest.mark.usefixtures("exact")
@pytest.mark.parametrize("seed", range(60))
async def test_no_entry_that_a_group_needs_is_ever_trimmed(bus, seed):
    """Whatever groups read and acknowledge in whatever order, what they have not settled stays."""
    dice = random.Random(seed)  # noqa: S311 - a test that can be repeated
    groups = ["a", "b", "c"][: dice.randint(1, 3)]
    needed = {group: set() for group in groups}
    held = {group: [] for group in groups}
    for group in groups:
        await bus.command("XGROUP", "CREATE", STREAM, group, "0", "MKSTREAM")
    added = 0
    for _ in range(60):
        group, act = dice.choice(groups), dice.random()
        if act < 0.35:
            count = dice.randint(1, 8)
            await fill(bus, count, added + 1)
            new = {f"{n}-0".encode() for n in range(added + 1, added + count + 1)}
            for one in groups:
                needed[one] |= new
            added += count
        elif act < 0.6:
            held[group] += await read(bus, group, dice.randint(1, 10))
        elif act < 0.8 and held[group]:
            done = dice.sample(held[group], dice.randint(1, len(held[group])))
            await bus.command("XACK", STREAM, group, *done)
            held[group] = [entry for entry in held[group] if entry not in done]
            needed[group] -= set(done)
        else:
            await trim(bus, STREAM, dice.choice([0.0, 3600.0]))
            assert set().union(*needed.values()) <= set(await left(bus))


@pytest.mark.usefixtures("exact")
async def test_young_entries_stay_for_inspection(bus):
    """Within the retention nothing goes, though everyone has acknowledged it."""
    await append(bus, 1, 5)
    await bus.command("XGROUP", "CREATE", KEYS.raw, ENRICH, "$")
    assert await trim(bus, KEYS.raw, 20 * 365 * 86_400.0) == 0
    assert len(await left(bus, KEYS.raw)) == 5


@pytest.mark.usefixtures("exact")
async def test_a_stream_without_groups_is_not_trimmed(bus):
    """Where nobody has ever read, nobody has acknowledged."""
    await fill(bus, 5, stream=OF_NO_ONE)
    assert await trim(bus, OF_NO_ONE, 0.0) == 0
    assert await trim(bus, "ha:not-there", 0.0) == 0
    assert len(await left(bus, OF_NO_ONE)) == 5


@pytest.mark.usefixtures("exact")
async def test_ids_that_lua_could_not_tell_apart_are_compared_as_text(bus):
    """Ids beyond 2^53 differ in their last digit only, and the one that is needed stays."""
    top = 2**63
    for n in range(4):
        await bus.command("XADD", STREAM, f"5-{top + n}", "n", n)
    await bus.command("XGROUP", "CREATE", STREAM, "a", "0")
    held = await read(bus, "a", 4)
    await bus.command("XACK", STREAM, "a", held[0], held[2], held[3])
    await trim(bus, STREAM, 0.0)
    assert (await left(bus))[0] == f"5-{top + 1}".encode()


@pytest.mark.usefixtures("exact")
async def test_trimming_leaves_the_ledger_balanced(bus):
    """Entries that were settled and trimmed are not missed."""
    await append_enriched(bus, 20)
    await bus.command("XGROUP", "CREATE", KEYS.enriched, "store", "0")
    held = await read(bus, "store", 12, KEYS.enriched)
    await bus.run("acknowledge", (KEYS.enriched, KEYS.ledger), "store", "stored", *held)
    await trim(bus, KEYS.raw, 0.0)
    await trim(bus, KEYS.enriched, 0.0)
    assert len(await left(bus, KEYS.enriched)) < 20
    ledger = await balanced(bus)
    assert (ledger.stored, ledger.in_flight) == (12, 8)


async def test_a_redis_that_fills_up_keeps_nothing_for_inspection(tmp_path):
    """Above half of `maxmemory` everything that no group needs goes, however young."""
    with RedisServer(tmp_path, maxmemory="8mb", stream_node_max_entries="1") as server:
        async with connect(server.url) as bus:
            assert 0 < await share_of_memory(bus) < 0.5
            await append(bus, 1, 10)
            await bus.command("XGROUP", "CREATE", KEYS.raw, ENRICH, "0")
            await read(bus, ENRICH, 5, KEYS.raw)
            held = await left(bus, KEYS.raw)
            await bus.command("XACK", KEYS.raw, ENRICH, *held[:4])
            century_s = 100 * 365 * 86_400.0
            assert await trim(bus, KEYS.raw, century_s) == 0
            for n in range(5):
                await bus.command("SET", f"ballast-{n}", b"x" * 1_000_000)
            assert await share_of_memory(bus) > 0.5
            assert await trim(bus, KEYS.raw, century_s) == 4
            assert len(await left(bus, KEYS.raw)) == 6


async def test_a_redis_without_a_limit_is_never_full(bus):
    """Without `maxmemory` no share of it is used."""
    assert await share_of_memory(bus) == 0.0


async def test_trimming_goes_on_through_an_outage(tmp_path):
    """Who keeps trimming outlives that Redis is away, and ends when it is stopped."""
    stop = asyncio.Event()
    with RedisServer(tmp_path) as server:
        async with connect(server.url) as bus:
            await fill(bus, 1, stream=STREAM)
            server.kill()
            task = asyncio.create_task(keep_trimmed(bus, (STREAM, KEYS.raw), 1.0, stop))
            await asyncio.sleep(0)
            server.start()
            assert not task.done()
            stop.set()
            await until(task.done)
            await task


@pytest.mark.parametrize(
    ("how", "forgotten"),
    [("gone", 1), ("holds an entry", 0), ("its heart beats", 0), ("read just now", 0)],
)
async def test_only_a_consumer_that_is_gone_and_holds_nothing_is_forgotten(
    bus, monkeypatch, how, forgotten
):
    """Deleting a consumer takes its pending entries with it, so it must have none."""
    monkeypatch.setattr(trim_module, "FORGOTTEN_AFTER_S", 60.0 * (how == "read just now"))
    await fill(bus, 2)
    await bus.command("XGROUP", "CREATE", STREAM, ENRICH, "0")
    held = await read(bus, ENRICH, 2)
    await bus.command("XACK", STREAM, ENRICH, *held[how == "holds an entry" :])
    if how == "its heart beats":
        await Heartbeat(bus, ENRICH, "me").beat()
    assert await forget_consumers(bus, STREAM) == forgotten
    [group] = await bus.command("XINFO GROUPS", STREAM)
    assert (group["consumers"], group["pending"]) == (1 - forgotten, int(how == "holds an entry"))


async def test_a_consumer_that_read_meanwhile_is_not_forgotten(bus):
    """What it holds is looked at in the same step in which it would be deleted."""
    await fill(bus, 1)
    await bus.command("XGROUP", "CREATE", STREAM, ENRICH, "0")
    await read(bus, ENRICH, 1)
    keys = (STREAM, KEYS.worker(ENRICH, "me"))
    assert await bus.run("forget", keys, ENRICH, "me", 0) == 0
    assert await bus.run("forget", keys, "no-group", "me", 0) == 0
    assert await forget_consumers(bus, "ha:not-there") == 0

"""Entries that were delivered and never settled, on a real Redis."""

import asyncio
from contextlib import aclosing

import pytest
from pydantic import ValidationError

from common.bus import ENRICH, INGEST, Keys, connect
from common.bus import consumer as consumer_module
from common.bus import left_behind as left_behind_module
from common.config import WorkerSettings
from common.heartbeat import Heartbeat
from common.ledger import read_ledger
from common.lifecycle import Stopped
from tests.fakes.bus import append, balanced, consumer, event, events_of, field_values, pending
from tests.fakes.lossy_proxy import LossyProxy
from tests.fakes.redis_server import RedisServer
from tests.fakes.until import until

pytestmark = pytest.mark.integration

KEYS = Keys()


@pytest.fixture
async def bus(redis_url):
    async with connect(redis_url) as opened:
        yield opened


@pytest.fixture
def stop():
    return asyncio.Event()


async def die_with_a_batch(bus, stop, name="me"):
    """A process reads a batch, and is killed before it settles it."""
    async with aclosing(consumer(bus, name=name).batches(stop)) as batches, asyncio.timeout(10):
        return await anext(batches)


async def live(bus, deadly=frozenset(), name="me", max_deaths=3):
    """A process forwards what it gets until it dies of an entry, or nothing is left.

    Returns:
        Whether it died, and the size of each batch it got.
    """
    stop = asyncio.Event()
    reader = consumer(bus, name=name, max_deaths=max_deaths)
    sizes = []
    async with aclosing(reader.batches(stop)) as batches:
        while True:
            following = asyncio.create_task(anext(batches, None))
            watch = asyncio.create_task(nothing_left(bus))
            await asyncio.wait([following, watch], return_when=asyncio.FIRST_COMPLETED)
            watch.cancel()
            if not following.done():
                stop.set()
                await following
                return False, sizes
            batch = await following
            sizes.append(len(batch))
            if deadly & {e.id for e in events_of(batch)}:
                return True, sizes
            await reader.forward(batch, events_of(batch), KEYS.enriched, stop)


async def nothing_left(bus):
    async def idle():
        [group] = await bus.command("XINFO GROUPS", KEYS.raw) or [{}]
        return group.get("lag") == 0 and group["pending"] == 0

    await until(idle, within_s=30)


async def abandon(bus, owner, count):
    """Make the first entries those of a worker that has not been heard of for an hour."""
    entries = await bus.command("XRANGE", KEYS.raw, "-", "+", "COUNT", count)
    ids = [entry_id for entry_id, _ in entries]
    await bus.command(*("XCLAIM", KEYS.raw, ENRICH, owner, 0, *ids, "IDLE", 3_600_000, "JUSTID"))
    return ids


async def test_what_a_dead_process_held_comes_one_at_a_time(bus, stop):
    """Each entry of a batch left behind stands alone in its batch, as a suspect of one death."""
    await append(bus, 1, 100)
    held = await die_with_a_batch(bus, stop)
    assert len(held) == 100
    reader = consumer(bus)
    seen = []
    async with aclosing(reader.batches(stop)) as batches:
        async for batch in batches:
            [suspect] = batch
            assert suspect.deaths == 1
            seen.append(suspect.event)
            await reader.forward(batch, events_of(batch), KEYS.enriched, stop)
            if len(seen) == 100:
                break
    assert seen == [event(n) for n in range(1, 101)]
    assert (await balanced(bus)).enriched == 100


async def test_only_the_entry_in_hand_counts_a_death(bus, stop):
    """The count in Redis grows by one for the entry a process died of, and for no other."""
    await append(bus, 1, 5)
    await die_with_a_batch(bus, stop)
    for deaths in (2, 3):
        [suspect] = await die_with_a_batch(bus, stop)
        times = {i: times for i, (_, times) in (await pending(bus, KEYS.raw, ENRICH)).items()}
        assert times.pop(suspect.entry_id) == deaths
        assert set(times.values()) == {1}


@pytest.mark.parametrize("position", [1, 50, 100])
@pytest.mark.parametrize("max_deaths", [2, 3, 5])
async def test_an_entry_that_kills_is_buried_and_no_other(bus, position, max_deaths):
    """After so many deaths the killer is a dead letter, and each innocent is forwarded once."""
    await append(bus, 1, 100)
    killer = event(position)
    deaths = 0
    while (await live(bus, {killer.id}, max_deaths=max_deaths))[0]:
        deaths += 1
        assert deaths <= max_deaths
    assert deaths == max_deaths
    assert await field_values(bus, KEYS.dead, "id") == [killer.id]
    assert await field_values(bus, KEYS.dead, "dead_reason") == ["delivery_limit"]
    assert await field_values(bus, KEYS.dead, "dead_deliveries") == [str(max_deaths + 1)]
    forwarded = await field_values(bus, KEYS.enriched, "id")
    assert sorted(forwarded) == sorted(event(n).id for n in range(1, 101) if n != position)
    ledger = await balanced(bus)
    assert (ledger.enriched, ledger.dead) == (99, 1)


def test_a_limit_that_would_condemn_innocents_is_refused():
    """One death is shared by a batch, so the limit must allow for a second one alone."""
    with pytest.raises(ValidationError):
        WorkerSettings(bus_max_deliveries=1)


async def test_several_killers_in_one_batch_condemn_no_innocent(bus):
    """Three killers cost three deaths each, one more where they first met, and nobody else."""
    await append(bus, 1, 60)
    killers = {event(n).id for n in (7, 8, 50)}
    deaths = 0
    while (await live(bus, killers))[0]:
        deaths += 1
        assert deaths <= 9
    assert sorted(await field_values(bus, KEYS.dead, "id")) == sorted(killers)
    assert (await balanced(bus)).enriched == 57


async def test_deaths_are_remembered_over_a_restart_of_redis(tmp_path):
    """A killer that takes Redis with it each time is buried all the same."""
    with RedisServer(tmp_path, appendonly="yes", appendfsync="always") as server:
        async with connect(server.url) as bus:
            await append(bus, 1, 20)
        deaths = 0
        while True:
            async with connect(server.url) as bus:
                died, _ = await live(bus, {event(4).id})
            if not died:
                break
            deaths += 1
            server.kill()
            server.start()
        assert deaths == 3
        async with connect(server.url) as bus:
            assert await field_values(bus, KEYS.dead, "id") == [event(4).id]
            ledger = await balanced(bus)
            assert (ledger.enriched, ledger.dead) == (19, 1)


@pytest.mark.parametrize("count", [3, 700])
async def test_entries_of_an_answer_that_was_lost_come_back_innocent(redis_url, bus, stop, count):
    """When the answer of a read is lost its entries are read again, and no death is counted."""
    async with LossyProxy(redis_url) as proxy, connect(proxy.url) as far:
        reader = consumer(far, batch_size=1000)
        seen = []
        async with aclosing(reader.batches(stop)) as batches:
            await append(bus, 1, count)
            proxy.lose_answer_to = b"XREADGROUP"
            following = asyncio.create_task(anext(batches))
            await until(lambda: proxy.lost)
            raw = await append(bus, count + 1, count + 1)
            assert raw
            while len(seen) < count + 1:
                batch = await following
                assert {delivery.deaths for delivery in batch} == {0}
                counted = await pending(bus, KEYS.raw, ENRICH)
                assert {counted[d.entry_id][1] for d in batch} == {1}
                seen += events_of(batch)
                await reader.forward(batch, events_of(batch), KEYS.enriched, stop)
                following = asyncio.create_task(anext(batches, None))
            stop.set()
            await following
    assert sorted(e.id for e in seen) == sorted(event(n).id for n in range(1, count + 2))
    assert (await balanced(bus)).enriched == count + 1


async def test_a_stop_after_a_lost_answer_is_no_death(redis_url, bus, stop):
    """A worker that is stopped before it heard of its entries was not killed by them."""
    await append(bus, 1, 3)
    async with LossyProxy(redis_url) as proxy, connect(proxy.url) as far:
        reader = consumer(far)

        async def work():
            async with reader.releasing():
                async for _ in reader.batches(stop):
                    pytest.fail("nothing can be read")

        proxy.lose_answer_to = b"XREADGROUP"
        task = asyncio.create_task(work())
        await until(lambda: proxy.lost)
        stop.set()
        with pytest.raises(Stopped):
            await task
    batch = await die_with_a_batch(bus, asyncio.Event())
    assert [delivery.deaths for delivery in batch] == [0, 0, 0]


async def test_a_lost_answer_to_a_claim_counts_one_death_only(redis_url, bus, stop):
    """A claim whose answer is lost is repeated: the entry comes, with the deaths it had."""
    await append(bus, 1, 2)
    await die_with_a_batch(bus, stop)
    async with LossyProxy(redis_url) as proxy, connect(proxy.url) as far:
        proxy.lose_answer_to = b"XCLAIM"
        [suspect] = await die_with_a_batch(far, stop)
        assert proxy.lost == 1
    assert suspect.deaths == 1
    assert (await pending(bus, KEYS.raw, ENRICH))[suspect.entry_id] == (b"me", 2)


async def test_a_lost_answer_to_a_claim_from_another_loses_nothing(
    redis_url, bus, stop, monkeypatch
):
    """Entries claimed from a worker that is gone come, even when the claim's answer was lost."""
    monkeypatch.setattr(consumer_module, "LOOK_FOR_ABANDONED_S", 0.0)
    await append(bus, 1, 2)
    await die_with_a_batch(bus, stop, name="gone")
    await abandon(bus, "gone", 2)
    async with LossyProxy(redis_url) as proxy, connect(proxy.url) as far:
        reader = consumer(far)
        proxy.lose_answer_to = b"XCLAIM"
        seen = {}
        async with aclosing(reader.batches(stop)) as batches:
            async for batch in batches:
                seen |= {d.event.id: d.deaths for d in batch}
                await reader.forward(batch, events_of(batch), KEYS.enriched, stop)
                if len(seen) == 2:
                    break
        assert proxy.lost == 1
    assert seen == {event(1).id: 1, event(2).id: 1}
    assert (await balanced(bus)).enriched == 2


@pytest.mark.parametrize("delete", ["XDEL", "XTRIM"])
async def test_pending_entries_that_were_deleted_are_counted_as_lost(bus, stop, delete):
    """What somebody deletes while we hold it is counted, acknowledged, and not waited for."""
    await append(bus, 1, 4)
    held = await die_with_a_batch(bus, stop)
    if delete == "XDEL":
        await bus.command("XDEL", KEYS.raw, held[0].entry_id, held[1].entry_id)
    else:
        await bus.command("XTRIM", KEYS.raw, "MAXLEN", 2)
    _, sizes = await live(bus)
    assert sizes == [1, 1]
    ledger = await balanced(bus)
    assert (ledger.lost, ledger.enriched, ledger.in_flight) == (2, 2, 2)
    assert ledger.corrected_s > 0
    assert await pending(bus, KEYS.raw, ENRICH) == {}


async def test_a_batch_of_ghosts_only_is_no_batch(bus, stop):
    """When all that was left behind is deleted, what is new comes at once."""
    await append(bus, 1, 3)
    await die_with_a_batch(bus, stop)
    await bus.command("XTRIM", KEYS.raw, "MAXLEN", 0)
    await append(bus, 4, 4)
    batch = await die_with_a_batch(bus, stop)
    assert events_of(batch) == [event(4)]
    ledger = await balanced(bus)
    assert (ledger.lost, ledger.in_flight) == (3, 1)


async def test_unread_entries_that_were_deleted_are_missed_by_the_ledger(bus):
    """What somebody deletes before anybody read it shows as unaccounted."""
    await append(bus, 1, 5)
    await bus.command("XTRIM", KEYS.raw, "MAXLEN", 3)
    await live(bus)
    ledger = await read_ledger(bus)
    assert (ledger.enriched, ledger.unaccounted) == (3, 2)


async def test_entries_of_a_worker_that_is_gone_are_taken_over(bus, stop):
    """Entries that lie idle, and whose worker has no heartbeat, are claimed one at a time."""
    await append(bus, 1, 3)
    await die_with_a_batch(bus, stop, name="gone")
    await abandon(bus, "gone", 3)
    reader = consumer(bus)
    seen = []
    async with aclosing(reader.batches(stop)) as batches, asyncio.timeout(30):
        async for batch in batches:
            [suspect] = batch
            assert suspect.deaths == 1
            assert (await pending(bus, KEYS.raw, ENRICH))[suspect.entry_id] == (b"me", 2)
            seen.append(suspect.event)
            await reader.forward(batch, events_of(batch), KEYS.enriched, stop)
            if len(seen) == 3:
                break
    assert seen == [event(1), event(2), event(3)]
    assert (await balanced(bus)).enriched == 3


async def test_entries_of_a_worker_that_is_alive_are_left_to_it(bus, stop, monkeypatch):
    """However long an entry lies idle: while its worker's heart beats it is not claimed."""
    monkeypatch.setattr(consumer_module, "LOOK_FOR_ABANDONED_S", 0.0)
    await append(bus, 1, 2)
    await die_with_a_batch(bus, stop, name="slow")
    await abandon(bus, "slow", 2)
    await Heartbeat(bus, ENRICH, "slow").beat()
    await Heartbeat(bus, INGEST, "gone").beat()
    await append(bus, 3, 4)
    assert events_of(await die_with_a_batch(bus, stop, name="quick")) == [event(3), event(4)]
    held = await pending(bus, KEYS.raw, ENRICH)
    assert [owner for owner, _ in held.values()] == [b"slow", b"slow", b"quick", b"quick"]


async def test_entries_that_were_delivered_just_now_are_not_taken_over(bus, stop):
    """A worker whose heartbeat has not come yet keeps what it has just read."""
    await append(bus, 1, 2)
    await die_with_a_batch(bus, stop, name="new")
    await append(bus, 3, 3)
    assert events_of(await die_with_a_batch(bus, stop, name="quick")) == [event(3)]


async def test_many_more_than_one_look_takes_are_all_found(bus, stop, monkeypatch):
    """More entries than are looked at in one go come all, each once."""
    monkeypatch.setattr(left_behind_module, "ROWS_AT_ONCE", 7)
    await append(bus, 1, 50)
    await die_with_a_batch(bus, stop)
    _, sizes = await live(bus)
    assert sizes == [1] * 50
    assert sorted(await field_values(bus, KEYS.enriched, "id")) == sorted(
        event(n).id for n in range(1, 51)
    )


async def test_what_another_settles_meanwhile_is_left_out(bus, stop):
    """An entry that was acknowledged between the look and the claim does not come."""
    await append(bus, 1, 3)
    held = await die_with_a_batch(bus, stop)
    reader = consumer(bus)
    async with aclosing(reader.batches(stop)) as batches:
        first = await anext(batches)
        await bus.command("XACK", KEYS.raw, ENRICH, held[1].entry_id)
        await reader.forward(first, events_of(first), KEYS.enriched, stop)
        assert events_of(await anext(batches)) == [event(3)]

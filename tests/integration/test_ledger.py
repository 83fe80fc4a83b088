"""The ledger on a real Redis: it balances, and says what is in flight."""

import asyncio

import pytest

from common import ledger as ledger_module
from common.bus import ENRICH, STORE, DeadLetters, Filter, Keys, RawStream, Streams, Tally, connect
from common.errors import PointRejected, StepFailed
from common.ledger import Ledger, keep_balanced, read_ledger, reconcile
from tests.fakes.bus import (
    SPOOL,
    START_MS,
    append,
    balanced,
    consumer,
    event,
    events_of,
    letter_row,
    rows,
)
from tests.fakes.redis_server import RedisServer
from tests.fakes.until import until

pytestmark = pytest.mark.integration

KEYS = Keys()


@pytest.fixture
async def bus(redis_url):
    async with connect(redis_url) as opened:
        yield opened


async def one_batch(bus, group, settle):
    """Let a worker settle one batch."""
    stop = asyncio.Event()
    reader = consumer(bus, group, batch_size=5000)
    async for batch in reader.batches(stop):
        await settle(reader, batch, stop)
        stop.set()


async def enrich(reader, batch, stop):
    outcomes = [StepFailed("no") if i % 10 == 9 else e for i, e in enumerate(events_of(batch))]
    await reader.forward(batch, outcomes, KEYS.enriched, stop)


async def store(reader, batch, stop):
    await reader.settle(batch, {0: PointRejected("no")}, stop)


async def test_an_empty_redis_has_an_empty_ledger(bus):
    """Where nothing ever came nothing is counted, and nothing missed."""
    assert await read_ledger(bus) == Ledger()


async def test_every_step_of_an_event_keeps_the_balance(bus):
    """From capture to the sink, over burial, replay and purge, nothing goes unaccounted."""
    raw = await append(bus, 1, 100)
    await raw.append([letter_row(101)], Tally(filtered=7, duplicates=3))
    ledger = await balanced(bus)
    assert (ledger.captured, ledger.in_flight, ledger.dead) == (111, 100, 1)
    await Streams(bus).inject(event(200))
    assert (await balanced(bus)).in_flight == 101
    await one_batch(bus, ENRICH, enrich)
    ledger = await balanced(bus)
    assert (ledger.enriched, ledger.dead, ledger.in_flight) == (91, 11, 91)
    await one_batch(bus, STORE, store)
    ledger = await balanced(bus)
    assert (ledger.stored, ledger.dead, ledger.in_flight) == (90, 12, 0)
    letters = DeadLetters(bus)
    for letter in await letters.page(Filter(stage="enrich"), 4):
        await letters.replay(letter.id)
    assert (await balanced(bus)).in_flight == 4
    await letters.purge([letter.id for letter in await letters.page(Filter(), 3)])
    ledger = await balanced(bus)
    assert (ledger.dead, ledger.purged, ledger.replayed, ledger.in_flight) == (5, 3, 4, 4)


async def test_what_is_in_a_workers_hands_is_in_flight(bus):
    """A delivered entry is in flight until it is settled."""
    await append(bus, 1, 10)
    assert (await balanced(bus)).in_flight == 10
    stop = asyncio.Event()
    reader = consumer(bus, batch_size=4)
    async for batch in reader.batches(stop):
        assert (await balanced(bus)).in_flight == 10
        await reader.forward(batch[:1], events_of(batch[:1]), KEYS.enriched, stop)
        assert (await balanced(bus)).in_flight == 10
        stop.set()


async def test_a_lag_that_redis_forgot_is_counted_by_hand(bus):
    """After an XDEL Redis cannot tell the lag; entries are counted one by one."""
    await append(bus, 1, 10)
    await one_batch(bus, ENRICH, enrich)
    raw = await append(bus, 11, 20)
    assert raw
    [(entry_id, _)] = await bus.command("XREVRANGE", KEYS.raw, "+", "-", "COUNT", 1)
    await bus.command("XDEL", KEYS.raw, entry_id)
    [group] = await bus.command("XINFO GROUPS", KEYS.raw)
    assert group["lag"] is None
    ledger = await read_ledger(bus)
    assert (ledger.in_flight, ledger.unaccounted) == (9 + 9, 1)


async def test_too_many_to_count_is_not_guessed(bus, monkeypatch):
    """Where Redis cannot tell and there are too many, nothing is claimed and nothing corrected."""
    monkeypatch.setattr(ledger_module, "COUNTED_BY_HAND", 5)
    monkeypatch.setattr(ledger_module, "COUNTED_TO_RECONCILE", 5)
    await append(bus, 1, 20)
    await bus.command("XGROUP", "CREATE", KEYS.raw, ENRICH, "0")
    await bus.command("XREADGROUP", "GROUP", ENRICH, "me", "COUNT", 8, "STREAMS", KEYS.raw, ">")
    await bus.command("XDEL", KEYS.raw, f"{START_MS}-20")
    ledger = await read_ledger(bus)
    assert (ledger.in_flight, ledger.unaccounted) == (None, None)
    assert (await reconcile(bus)).lost == 0
    monkeypatch.setattr(ledger_module, "COUNTED_TO_RECONCILE", 8)  # what was read is fewer
    ledger = await reconcile(bus)
    assert (ledger.in_flight, ledger.lost) == (19, 1)


async def test_a_group_that_starts_anew_keeps_the_balance(bus):
    """When a group was destroyed its old entries are settled again, and counted as redelivered."""
    await append(bus, 1, 10)
    await one_batch(bus, ENRICH, enrich)
    await bus.command("XGROUP", "DESTROY", KEYS.raw, ENRICH)
    assert (await read_ledger(bus)).unaccounted == -10
    assert (await reconcile(bus)).redelivered == 10
    await one_batch(bus, ENRICH, enrich)
    ledger = await balanced(bus)
    assert (ledger.enriched, ledger.dead, ledger.lost) == (18, 2, 0)
    assert ledger.corrected_s > 0


async def test_a_group_that_is_set_back_keeps_the_balance(bus):
    """XGROUP SETID gives old entries again: they are counted as redelivered."""
    await append(bus, 1, 10)
    await one_batch(bus, ENRICH, enrich)
    await bus.command("XGROUP", "SETID", KEYS.raw, ENRICH, "0", "ENTRIESREAD", 0)
    assert (await reconcile(bus)).redelivered == 10
    await balanced(bus)


async def unread_deleted(bus):
    await append(bus, 1, 10)
    await bus.command("XGROUP", "CREATE", KEYS.raw, ENRICH, "0")
    await bus.command("XTRIM", KEYS.raw, "MAXLEN", 3)


async def read_and_unread_deleted(bus):
    await append(bus, 1, 10)
    await one_batch(bus, ENRICH, lambda *_: asyncio.sleep(0))
    await bus.command("XACK", KEYS.raw, ENRICH, *(f"{START_MS}-{n}" for n in range(1, 8)))


async def consumer_deleted(bus):
    await append(bus, 1, 7)
    await one_batch(bus, ENRICH, lambda *_: asyncio.sleep(0))
    await bus.command("XGROUP", "DELCONSUMER", KEYS.raw, ENRICH, "me")


async def stream_deleted(bus):
    await append(bus, 1, 7)
    await one_batch(bus, ENRICH, lambda r, b, s: r.forward(b, events_of(b), KEYS.enriched, s))
    await bus.command("DEL", KEYS.enriched)


async def letters_deleted(bus):
    raw = await append(bus, 1, 1)
    await raw.append([letter_row(n) for n in range(2, 12)], Tally())
    letters = await bus.command("XRANGE", KEYS.dead, "-", "+", "COUNT", 7)
    await bus.command("XDEL", KEYS.dead, *(letter_id for letter_id, _ in letters))


async def letters_stream_deleted(bus):
    raw = await append(bus, 1, 1)
    await raw.append([letter_row(n) for n in range(2, 9)], Tally())
    await bus.command("DEL", KEYS.dead)


@pytest.mark.parametrize(
    "meddle",
    [
        unread_deleted,
        read_and_unread_deleted,
        consumer_deleted,
        stream_deleted,
        letters_deleted,
        letters_stream_deleted,
    ],
)
async def test_what_somebody_takes_away_is_counted_as_lost(bus, meddle, capsys):
    """MAXLEN, XACK, DELCONSUMER, DEL and XDEL by hand: seven are missed, counted and reported."""
    await meddle(bus)
    assert (await read_ledger(bus)).unaccounted == 7
    assert (await reconcile(bus)).lost == 7
    ledger = await balanced(bus)
    assert (ledger.lost, ledger.redelivered) == (7, 0)
    assert await reconcile(bus) == ledger
    said = capsys.readouterr()
    assert (said.out + said.err).count("Events are lost") == 1


@pytest.mark.parametrize("recreated", [False, True])
async def test_what_ingest_sends_again_is_not_lost(bus, recreated):
    """After DEL ha:raw nothing is judged until its rows came again; then the sum is as it was.

    Of 20 captured 12 were settled, and come a second time; 8 were not, and come once.
    """
    await append(bus, 1, 12)
    await one_batch(bus, ENRICH, enrich)
    await append(bus, 13, 20)
    await bus.command("DEL", KEYS.raw)
    if recreated:  # by a consumer
        await bus.command("XGROUP", "CREATE", KEYS.raw, ENRICH, "0", "MKSTREAM")
    assert (await reconcile(bus)).unaccounted == 8
    raw = RawStream(bus, SPOOL)
    await raw.own()
    assert (await reconcile(bus)).unaccounted == 8
    await raw.append(rows(1, 5), Tally())
    ledger = await reconcile(bus)
    assert (ledger.unaccounted, ledger.lost, ledger.captured) == (8, 0, 20)
    await raw.append(rows(6, 23), Tally())
    ledger = await reconcile(bus)
    ledger = await balanced(bus)
    assert (ledger.captured, ledger.lost, ledger.redelivered) == (23, 0, 12)
    assert ledger.corrected_s > 0
    await one_batch(bus, ENRICH, enrich)
    assert await reconcile(bus) == await balanced(bus)
    assert await bus.command("HMGET", KEYS.watermark, "again", "sent_again") == [None, None]


async def test_what_ingest_cannot_send_again_is_lost(bus):
    """Of a deleted stream the spool may hold no more than its end: the rest is lost after all."""
    await append(bus, 1, 20)
    await bus.command("DEL", KEYS.raw)
    raw = RawStream(bus, SPOOL)
    await raw.own()
    await raw.append(rows(15, 20), Tally())
    assert (await reconcile(bus)).lost == 14
    ledger = await balanced(bus)
    assert (ledger.captured, ledger.redelivered, ledger.in_flight) == (20, 0, 6)


async def test_trimmed_unread_entries_are_lost_though_redis_counts_them_on(bus):
    """Redis's lag keeps what MAXLEN took unread: it is put right when the group is through."""
    await append(bus, 1, 20)
    await bus.command("XGROUP", "CREATE", KEYS.raw, ENRICH, "0")
    await bus.command("XREADGROUP", "GROUP", ENRICH, "me", "COUNT", 5, "STREAMS", KEYS.raw, ">")
    await bus.command("XTRIM", KEYS.raw, "MAXLEN", 5)
    ledger = await reconcile(bus)
    assert (ledger.in_flight, ledger.lost) == (5 + 5, 10)
    [group] = await bus.command("XINFO GROUPS", KEYS.raw)
    assert group["lag"] == 5
    raw = RawStream(bus, SPOOL)
    await raw.own()
    await raw.append(rows(21, 23), Tally())
    assert (await balanced(bus)).in_flight == 5 + 8


async def test_a_full_redis_is_reconciled(tmp_path):
    """What is lost is counted also when Redis takes nothing any more."""
    with RedisServer(tmp_path) as server:
        async with connect(server.url) as bus:
            await stream_deleted(bus)
            await bus.command("CONFIG SET", "maxmemory", "1")
            assert (await reconcile(bus)).lost == 7


async def test_the_ledger_is_looked_after_until_the_worker_stops(bus):
    """Who keeps the ledger balanced does so at once, and ends when it is stopped."""
    await stream_deleted(bus)
    stop = asyncio.Event()
    task = asyncio.create_task(keep_balanced(bus, stop))

    async def counted():
        return (await read_ledger(bus)).lost == 7

    await until(counted)
    stop.set()
    await task


@pytest.mark.parametrize("key", [KEYS.raw, KEYS.enriched, KEYS.dead])
async def test_a_stream_that_stands_aside_is_not_lost(bus, key):
    """While a key holds something else nobody knows what is in flight, and nothing is judged."""
    raw = await append(bus, 1, 10)
    await one_batch(bus, ENRICH, enrich)
    await raw.append([*rows(11, 15), letter_row(16)], Tally())
    await bus.command("RENAME", key, "aside")
    await bus.command("SET", key, "a string")
    await reconcile(bus)
    await bus.command("RENAME", "aside", key)
    ledger = await balanced(bus)
    assert (ledger.captured, ledger.lost, ledger.redelivered) == (16, 0, 0)


@pytest.mark.parametrize("read", [0, 4])
async def test_a_lag_that_redis_has_wrong_corrects_nothing(bus, read):
    """After a restart Redis may think that a group has read more or fewer: nothing is lost."""
    await append(bus, 1, 5)
    batch = await anext(consumer(bus, ENRICH, batch_size=2).batches(asyncio.Event()))
    last = batch[-1].entry_id
    await bus.command("XGROUP", "SETID", KEYS.raw, ENRICH, last, "ENTRIESREAD", read)
    ledger = await reconcile(bus)
    assert (ledger.lost, ledger.redelivered, ledger.in_flight) == (0, 0, 5)
    assert (await read_ledger(bus)).unaccounted == 0

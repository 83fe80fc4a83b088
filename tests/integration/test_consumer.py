"""A consumer of a group, on a real Redis."""

import asyncio
from contextlib import aclosing

import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs

from common.bus import ENRICH, STORE, Keys, Streams, Tally, connect
from common.bus import consumer as consumer_module
from common.bus.entry import event_of
from common.errors import PointRejected, StepFailed
from common.event import Event
from common.ledger import read_ledger
from common.lifecycle import Stopped
from tests.fakes.bus import (
    append,
    append_enriched,
    balanced,
    consumer,
    event,
    events_of,
    field_values,
    flat_of,
    pending,
    rows,
)
from tests.fakes.lossy_proxy import LossyProxy
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


async def ends_by(error, reader, stop, before=None):
    """A worker takes a batch, and ends by an error while it holds it."""
    async with reader.releasing(), aclosing(reader.batches(stop)) as batches:
        batch = await anext(batches)
        if before is not None:
            await before()
        raise error(batch)


async def first_batch(reader, stop):
    """What a process of this name gets first; the process dies with it in its hands."""
    async with aclosing(reader.batches(stop)) as batches, asyncio.timeout(10):
        return await anext(batches)


async def blocked(bus):
    return (await bus.command("INFO", "clients"))["blocked_clients"]


async def groups(bus, stream):
    return [group["name"] for group in await bus.command("XINFO GROUPS", stream)]


async def tried_again(bus, before):
    return await calls(bus, "evalsha") > before + 1


async def stopping(call, stop, condition):
    """Let a call wait until the condition is true, then stop it."""
    task = asyncio.create_task(call)
    await until(condition)
    stop.set()
    with pytest.raises(Stopped):
        await task


async def test_groups_begin_at_the_first_entry(bus, stop):
    """What was appended before the first consumer came is delivered to it."""
    await append(bus, 1, 3)
    batch = await first_batch(consumer(bus), stop)
    assert events_of(batch) == [event(1), event(2), event(3)]
    assert [delivery.deaths for delivery in batch] == [0, 0, 0]
    assert {delivery.stream for delivery in batch} == {KEYS.raw}


async def test_an_empty_batch_says_that_nothing_came(bus, stop):
    """It comes again and again while nothing does, and what comes then is delivered."""
    reader = consumer(bus, idle_s=0.05)
    async with aclosing(reader.batches(stop)) as batches, asyncio.timeout(20):
        assert [await anext(batches), await anext(batches)] == [[], []]
        await append(bus, 1, 2)
        batch = await anext(batches)
        assert events_of(batch) == [event(1), event(2)]
        await reader.settle(batch, {}, stop)
        assert await anext(batches) == []


async def test_groups_and_streams_are_made_on_an_empty_redis(bus, stop):
    """A consumer that comes first makes its groups, and the streams they stand on."""
    task = asyncio.create_task(first_batch(consumer(bus), stop))
    await until(lambda: blocked(bus))
    assert await groups(bus, KEYS.raw) == await groups(bus, KEYS.inbox) == [b"enrich"]
    await append(bus, 1, 1)
    assert events_of(await task) == [event(1)]


@pytest.mark.parametrize(
    "command",
    [("DEL", KEYS.raw), ("XGROUP", "DESTROY", KEYS.raw, ENRICH), ("FLUSHALL",)],
    ids=lambda command: command[0],
)
async def test_groups_that_vanish_under_a_blocked_reader_are_made_again(bus, stop, command):
    """A group that is destroyed while we wait starts again at the first entry."""
    task = asyncio.create_task(first_batch(consumer(bus), stop))
    await until(lambda: blocked(bus))
    await bus.command(*command)
    await append(bus, 1, 2)
    assert events_of(await task) == [event(1), event(2)]


@pytest.mark.parametrize("key", [KEYS.raw, KEYS.inbox])
async def test_a_key_that_is_overwritten_under_a_blocked_reader_is_named(bus, stop, key):
    """The very first thing said is which key holds what it should not, and what to do."""
    reader = consumer(bus)
    async with aclosing(reader.batches(stop)) as batches:
        await append(bus, 1, 1)
        await anext(batches)
        with capture_logs() as lines:
            waiting = asyncio.create_task(anext(batches))

            async def blocked():
                return (await bus.command("INFO", "clients"))["blocked_clients"] == 1

            await until(blocked, what="a reader that waits")
            await bus.command("SET", key, "mine")
            await until(lambda: bool(lines), what="a word")
            waiting.cancel()
            await asyncio.wait([waiting])
    assert f"{key} holds a string" in str(lines[0]["error"])


@pytest.mark.parametrize(
    "command",
    [("DEL", KEYS.raw), ("XGROUP", "DESTROY", KEYS.raw, ENRICH), ("FLUSHALL",)],
    ids=lambda command: command[0],
)
async def test_groups_that_vanish_under_a_batch_do_no_harm(bus, stop, command):
    """A batch whose group was destroyed is left alone; what still stands comes again."""
    await append(bus, 1, 3)
    reader = consumer(bus)
    async with aclosing(reader.batches(stop)) as batches:
        batch = await anext(batches)
        await bus.command(*command)
        await reader.forward(batch, events_of(batch), KEYS.enriched, stop)
        assert await bus.command("XLEN", KEYS.enriched) == 0
        await append(bus, 1, 3)
        again = await anext(batches)
        assert events_of(again) == [event(1), event(2), event(3)]
        await reader.forward(again, events_of(again), KEYS.enriched, stop)
    assert len(await field_values(bus, KEYS.enriched, "id")) == 3


async def test_groups_that_vanish_before_a_look_for_the_abandoned_are_made_again(
    bus, stop, monkeypatch
):
    """The look for entries of workers that are gone survives that the group itself is gone."""
    monkeypatch.setattr(consumer_module, "LOOK_FOR_ABANDONED_S", 0.0)
    await append(bus, 1, 1)
    reader = consumer(bus)
    async with aclosing(reader.batches(stop)) as batches:
        batch = await anext(batches)
        await reader.forward(batch, events_of(batch), KEYS.enriched, stop)
        await bus.command("FLUSHALL")
        await append(bus, 2, 2)
        assert events_of(await anext(batches)) == [event(2)]


async def test_a_stop_after_the_group_vanished_is_in_order(bus, stop):
    """Giving back a batch whose group was destroyed is no error."""
    await append(bus, 1, 3)
    with pytest.raises(Stopped):
        await ends_by(Stopped, consumer(bus), stop, lambda: bus.command("FLUSHALL"))


async def test_batches_hold_at_most_what_was_asked_for(bus, stop):
    """A backlog comes in full batches, in order, each entry once."""
    await append(bus, 1, 1200)
    reader = consumer(bus, batch_size=500)
    sizes, seen = [], []
    async with aclosing(reader.batches(stop)) as batches:
        async for batch in batches:
            sizes.append(len(batch))
            seen += events_of(batch)
            await reader.forward(batch, events_of(batch), KEYS.enriched, stop)
            if len(seen) == 1200:
                break
    assert sizes == [500, 500, 200]
    assert seen == [event(n) for n in range(1, 1201)]
    ledger = await balanced(bus)
    assert (ledger.captured, ledger.enriched, ledger.in_flight) == (1200, 1200, 1200)


async def test_a_batch_that_is_not_full_makes_the_next_gather(bus, stop):
    """After a batch with room in it the reader pauses, so that the next one gathers."""
    raw = await append(bus, 1, 1)
    reader = consumer(bus, pause_s=30.0)
    async with aclosing(reader.batches(stop)) as batches:
        batch = await anext(batches)
        await reader.forward(batch, events_of(batch), KEYS.enriched, stop)
        following = asyncio.create_task(anext(batches, None))
        for n in range(2, 12):
            await raw.append(rows(n, n), Tally())
            await asyncio.sleep(0)
        assert not following.done()
        stop.set()
        assert await following is None
    assert (await balanced(bus)).in_flight == 11


async def test_a_full_batch_is_followed_at_once_by_the_next(bus, stop):
    """A full batch says that more waits: there is no pause in which more would gather."""
    await append(bus, 1, 3)
    reader = consumer(bus, pause_s=30.0, batch_size=2)
    async with aclosing(reader.batches(stop)) as batches, asyncio.timeout(10):
        for size in (2, 1):
            batch = await anext(batches)
            assert len(batch) == size
            await reader.forward(batch, events_of(batch), KEYS.enriched, stop)


async def test_how_long_the_next_batch_gathers_depends_on_how_many_came(bus, stop, monkeypatch):
    """The thicker entries come the longer they gather."""
    asked = []
    monkeypatch.setattr(consumer_module, "gather_s", lambda *args: asked.append(args) or 0.0)
    await append(bus, 1, 3)
    reader = consumer(bus, pause_s=0.5)
    async with aclosing(reader.batches(stop)) as batches:
        batch = await anext(batches)
        await reader.forward(batch, events_of(batch), KEYS.enriched, stop)
        await append(bus, 4, 4)
        await anext(batches)
    assert asked == [(0.5, 3)]


async def test_a_batch_is_let_go_of_before_the_next_is_read(bus, stop):
    """Who keeps a batch does not keep its events: the next one is read into their memory."""
    await append(bus, 1, 4)
    reader = consumer(bus, batch_size=2)
    async with aclosing(reader.batches(stop)) as batches:
        kept = await anext(batches)
        await reader.forward(kept, events_of(kept), KEYS.enriched, stop)
        assert len(kept) == 2
        assert events_of(await anext(batches)) == [event(3), event(4)]
        assert kept == []


async def test_forwarding_appends_acknowledges_and_counts(bus, stop):
    """After a forward the entry stands in the next stream, is acknowledged, and is counted."""
    await append(bus, 1, 2)
    reader = consumer(bus)
    batch = await first_batch(reader, stop)
    assert (await balanced(bus)).in_flight == 2
    await reader.forward(batch, [event(1, data=b'{"new":1}'), event(2)], KEYS.enriched, stop)
    assert await field_values(bus, KEYS.enriched, "data") == ['{"new":1}', "{}"]
    assert await pending(bus, KEYS.raw, ENRICH) == {}
    ledger = await balanced(bus)
    assert (ledger.enriched, ledger.dead, ledger.in_flight) == (2, 0, 2)


async def test_neighbours_that_differ_are_forwarded_as_they_are(bus, stop):
    """What neighbours share is said once; type, source, home and replays stay each event's own."""
    await append(bus, 1, 6)
    reader = consumer(bus)
    batch = await first_batch(reader, stop)
    changes = [
        {},
        {"type": "call_service"},
        {"source": "api"},
        {"source": "api", "replays": 2},
        {"home": "cabin"},
        {},
    ]
    outcomes = [replace(held.event, **change) for held, change in zip(batch, changes, strict=True)]
    outcomes[2] = StepFailed("no")
    await reader.forward(batch, outcomes, KEYS.enriched, stop)
    entries = await bus.command("XRANGE", KEYS.enriched, "-", "+")
    forwarded = [event_of(flat_of(fields)) for _, fields in entries]
    assert forwarded == [outcome for outcome in outcomes if isinstance(outcome, Event)]
    assert (await balanced(bus)).dead == 1


async def test_entries_of_raw_and_inbox_come_together(bus, stop):
    """Both streams of `enrich` are read, and each entry is acknowledged where it stands."""
    await append(bus, 1, 2)
    await Streams(bus).inject(event(3, "sensor.by_hand"))
    reader = consumer(bus)
    batch = await first_batch(reader, stop)
    assert {delivery.stream for delivery in batch} == {KEYS.raw, KEYS.inbox}
    await reader.forward(batch, events_of(batch), KEYS.enriched, stop)
    assert await pending(bus, KEYS.raw, ENRICH) == await pending(bus, KEYS.inbox, ENRICH) == {}
    assert (await balanced(bus)).captured == 3


async def test_a_target_that_refuses_acknowledges_nothing(bus, stop):
    """When the append fails nothing is acknowledged and nothing counted; later it goes through."""
    await append(bus, 1, 3)
    await bus.command("SET", KEYS.enriched, "not a stream")
    reader = consumer(bus)
    batch = await first_batch(reader, stop)
    before = await calls(bus, "evalsha")
    await stopping(
        reader.forward(batch, events_of(batch), KEYS.enriched, stop),
        stop,
        lambda: tried_again(bus, before),
    )
    stop.clear()
    assert len(await pending(bus, KEYS.raw, ENRICH)) == 3
    await bus.command("DEL", KEYS.enriched)
    assert (await balanced(bus)).enriched == 0
    await reader.forward(batch, events_of(batch), KEYS.enriched, stop)
    ledger = await balanced(bus)
    assert (ledger.enriched, ledger.in_flight) == (3, 3)


async def calls(bus, command):
    return (await bus.command("INFO", "commandstats")).get(f"cmdstat_{command}", {}).get("calls", 0)


async def test_a_dead_letter_stream_that_refuses_keeps_what_went_before(bus, stop):
    """Where the third of four moves fails, the two before it are done, and only they are."""
    await append(bus, 1, 4)
    reader = consumer(bus)
    batch = await first_batch(reader, stop)
    await bus.command("SET", KEYS.dead, "not a stream")
    outcomes = [event(1), event(2), StepFailed("no"), event(4)]
    forwarding = reader.forward(batch, outcomes, KEYS.enriched, stop)
    await stopping(forwarding, stop, lambda: bus.command("XLEN", KEYS.enriched))
    stop.clear()
    assert list(await pending(bus, KEYS.raw, ENRICH)) == [d.entry_id for d in batch[2:]]
    await bus.command("DEL", KEYS.dead)
    assert (await balanced(bus)).enriched == 2
    await reader.forward(batch, outcomes, KEYS.enriched, stop)
    ledger = await balanced(bus)
    assert (ledger.enriched, ledger.dead, ledger.in_flight) == (3, 1, 3)
    assert len(await field_values(bus, KEYS.enriched, "id")) == 3


async def test_an_entry_that_another_took_is_left_alone(bus, stop):
    """Of two workers that hold one entry only the one Redis names moves it: one output."""
    await append(bus, 1, 3)
    slow, other = consumer(bus, name="slow"), consumer(bus, name="other")
    batch = await first_batch(slow, stop)
    stolen = batch[1].entry_id
    await bus.command("XCLAIM", KEYS.raw, ENRICH, "other", 0, stolen)
    await slow.forward(batch, events_of(batch), KEYS.enriched, stop)
    assert await pending(bus, KEYS.raw, ENRICH) == {stolen: (b"other", 2)}
    await other.forward(batch[1:2], events_of(batch[1:2]), KEYS.enriched, stop)
    await slow.forward(batch, events_of(batch), KEYS.enriched, stop)
    ids = await field_values(bus, KEYS.enriched, "id")
    assert sorted(ids) == sorted(event(n).id for n in (1, 2, 3))
    assert (await balanced(bus)).enriched == 3


async def test_a_zombie_buries_nothing_that_another_holds(bus, stop):
    """A burial is fenced as a forward is."""
    await append(bus, 1, 1)
    slow = consumer(bus, name="slow")
    batch = await first_batch(slow, stop)
    await bus.command("XCLAIM", KEYS.raw, ENRICH, "other", 0, batch[0].entry_id)
    await slow.forward(batch, [StepFailed("no")], KEYS.enriched, stop)
    assert await bus.command("XLEN", KEYS.dead) == 0
    assert (await balanced(bus)).in_flight == 1


@pytest.mark.parametrize("group", [ENRICH, STORE])
async def test_an_answer_lost_after_a_settlement_changes_nothing(redis_url, bus, stop, group):
    """A forward, or an acknowledgement, whose answer is lost is repeated without effect."""
    await (append(bus, 1, 5) if group == ENRICH else append_enriched(bus, 5))
    async with LossyProxy(redis_url) as proxy, connect(proxy.url) as far:
        reader = consumer(far, group)
        batch = await first_batch(reader, stop)
        await reader.forward(batch[:1], events_of(batch[:1]), KEYS.enriched, stop)  # loads it
        proxy.lose_answer_to = b"EVALSHA"
        if group == ENRICH:
            await reader.forward(batch[1:], events_of(batch[1:]), KEYS.enriched, stop)
        else:
            await reader.settle(batch[1:], {}, stop)
        assert proxy.lost == 1
    ledger = await read_ledger(bus)
    assert ledger.enriched == (5 if group == ENRICH else 1)
    assert ledger.stored == (0 if group == ENRICH else 4)
    assert await pending(bus, batch[0].stream, group) == {}


async def test_settling_acknowledges_the_stored_and_buries_the_refused(bus, stop):
    """What stands in the sink is acknowledged and counted; what it refused becomes a letter."""
    await append_enriched(bus, 4)
    reader = consumer(bus, STORE)
    batch = await first_batch(reader, stop)
    refusal = PointRejected("field type conflict", "field_type_conflict", {"line": "a b=1"})
    await reader.settle(batch, {2: refusal}, stop)
    ledger = await balanced(bus)
    assert (ledger.stored, ledger.dead, ledger.in_flight) == (3, 1, 0)
    assert await field_values(bus, KEYS.dead, "id") == [batch[2].event.id]
    assert await field_values(bus, KEYS.dead, "dead_reason") == ["field_type_conflict"]


async def test_settling_nothing_but_refusals_acknowledges_none_as_stored(bus, stop):
    """A batch of which every point is refused counts nothing as stored."""
    await append_enriched(bus, 2)
    reader = consumer(bus, STORE)
    batch = await first_batch(reader, stop)
    await reader.settle(batch, {0: PointRejected("a"), 1: PointRejected("b")}, stop)
    ledger = await balanced(bus)
    assert (ledger.stored, ledger.dead) == (0, 2)
    assert await field_values(bus, KEYS.dead, "dead_error") == ["a", "b"]


async def test_an_entry_that_is_no_event_is_handed_out_as_its_cause(bus, stop):
    """What stands in a stream and is no event can be buried with all its fields."""
    await bus.command("XGROUP", "CREATE", KEYS.inbox, ENRICH, "0", "MKSTREAM")
    await bus.command("XADD", KEYS.inbox, "*", "hello", "world", b"bin", b"\xff\x00")
    await bus.command("HINCRBY", KEYS.ledger, "captured", 1)
    reader = consumer(bus, name="enrich-1")
    batch = await first_batch(reader, stop)
    await reader.forward(batch, [batch[0].event], KEYS.enriched, stop)
    [(_, letter)] = await bus.command("XRANGE", KEYS.dead, "-", "+")
    assert {b"hello": b"world", b"bin": b"\xff\x00"}.items() <= letter.items()
    assert letter[b"dead_reason"] == b"malformed_event"
    assert letter[b"dead_origin"] == KEYS.inbox.encode()
    assert letter[b"dead_origin_id"] == batch[0].entry_id
    assert letter[b"dead_worker"] == b"enrich-1"
    assert letter[b"dead_deliveries"] == b"1"
    assert (await balanced(bus)).dead == 1


async def test_a_stop_gives_the_batch_back(bus, stop):
    """A worker that is stopped with a batch in hand does not count as a death."""
    await append(bus, 1, 3)
    with pytest.raises(Stopped):
        await ends_by(Stopped, consumer(bus), stop)
    assert [times for _, times in (await pending(bus, KEYS.raw, ENRICH)).values()] == [0, 0, 0]
    batch = await first_batch(consumer(bus), stop)
    assert events_of(batch) == [event(1), event(2), event(3)]
    assert {delivery.deaths for delivery in batch} == {0}
    assert (await balanced(bus)).in_flight == 3


async def test_a_stop_keeps_the_deaths_counted_before(bus, stop):
    """A suspect that is given back stays the suspect it was."""
    await append(bus, 1, 1)
    await first_batch(consumer(bus), stop)  # dies once
    with pytest.raises(asyncio.CancelledError) as caught:
        await ends_by(asyncio.CancelledError, consumer(bus), stop)
    assert caught.value.args[0][0].deaths == 1
    assert (await first_batch(consumer(bus), stop))[0].deaths == 1


async def test_a_failure_gives_nothing_back(bus, stop):
    """A worker that ends by a defect leaves its batch as suspects."""
    await append(bus, 1, 2)
    with pytest.raises(ZeroDivisionError):
        await ends_by(ZeroDivisionError, consumer(bus), stop)
    assert [times for _, times in (await pending(bus, KEYS.raw, ENRICH)).values()] == [1, 1]


async def test_a_stop_while_redis_is_away_is_in_order(redis_url, stop):
    """Who cannot give back what it holds, because Redis is away, still ends as asked."""
    async with LossyProxy(redis_url) as proxy, connect(proxy.url) as far, connect(redis_url) as bus:
        await append(bus, 1, 1)

        async def go_away():
            proxy.refuses = True
            proxy.cut()

        with pytest.raises(Stopped):
            await ends_by(Stopped, consumer(far), stop, go_away)


async def test_a_stop_ends_the_batches(bus, stop):
    """A consumer that waits for entries ends soon after it was stopped."""
    task = asyncio.create_task(first_batch(consumer(bus), stop))
    await until(lambda: blocked(bus))
    stop.set()
    with pytest.raises(StopAsyncIteration):
        await task


async def test_a_reader_outlives_an_outage(redis_url, stop):
    """While Redis is away a consumer waits, and then reads on."""
    async with LossyProxy(redis_url) as proxy, connect(proxy.url) as far, connect(redis_url) as bus:
        task = asyncio.create_task(first_batch(consumer(far), stop))
        await until(lambda: blocked(bus))
        proxy.refuses = True
        proxy.cut()
        await append(bus, 1, 1)
        proxy.refuses = False
        assert events_of(await task) == [event(1)]


async def test_other_refusals_of_redis_are_not_hidden(bus, stop):
    """A key of the wrong type under the reader is waited out, not taken for an empty stream."""
    await bus.command("SET", KEYS.raw, "not a stream")
    task = asyncio.create_task(first_batch(consumer(bus), stop))
    await until(lambda: calls(bus, "xgroup|create"))
    assert not task.done()
    await bus.command("DEL", KEYS.raw)
    await append(bus, 1, 1)
    assert events_of(await task) == [event(1)]

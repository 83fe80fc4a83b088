"""Dead letters on a real Redis: looked at, put back once, deleted."""

import asyncio

import msgspec
import pytest

from common.bus import ENRICH, STORE, DeadLetters, Filter, Keys, batches, connect
from common.bus import dead_letters as dead_letters_module
from common.errors import BusUnavailable, DeadLetterNotFound, PointRejected, StepFailed
from tests.fakes.bus import append, append_enriched, balanced, consumer, event, events_of
from tests.fakes.lossy_proxy import LossyProxy

pytestmark = pytest.mark.integration

KEYS = Keys()


@pytest.fixture
async def bus(redis_url):
    async with connect(redis_url) as opened:
        yield opened


@pytest.fixture
def letters(bus):
    return DeadLetters(bus)


async def bury(bus, count, cause=None, group=ENRICH):
    """Let a worker bury so many entries; return the ids of their letters, oldest first."""
    await (append(bus, 1, count) if group == ENRICH else append_enriched(bus, count))
    stop = asyncio.Event()
    reader = consumer(bus, group, name="attic", batch_size=5000)
    async for batch in reader.batches(stop):
        causes = [cause or StepFailed(f"no {n}", {"step": "value"}) for n in range(len(batch))]
        await reader.forward(batch, causes, KEYS.enriched, stop)
        stop.set()
    return [i.decode() for i, _ in await bus.command("XRANGE", KEYS.dead, "-", "+")]


async def test_a_letter_says_what_it_was_and_why(bus, letters):
    """A letter holds the entry's own fields, and beside them where and why it died."""
    [letter_id] = await bury(bus, 1, StepFailed("division by zero", {"step": "value"}))
    letter = await letters.get(letter_id)
    first = event(1)
    assert letter.fields == {
        "v": "1",
        "id": first.id,
        "type": "state_changed",
        "entity_id": "sensor.a",
        "time": first.time,
        "source": "live",
        "home": "home",
        "data": "{}",
    }
    assert (letter.stage, letter.reason, letter.error) == (
        "enrich",
        "enrich_failed",
        "division by zero",
    )
    assert msgspec.json.decode(letter.detail) == {"step": "value"}
    assert (letter.origin, letter.worker, letter.deliveries) == (KEYS.raw, "attic", 1)
    assert letter.origin_id.endswith("-1")
    assert (await balanced(bus)).dead == 1


async def test_pages_go_from_the_newest_to_the_oldest(bus, letters, monkeypatch):
    """Page after page, each letter is seen once, newest first."""
    monkeypatch.setattr(dead_letters_module, "ROWS_AT_ONCE", 3)
    oldest_first = await bury(bus, 10)
    seen, before = [], None
    while page := await letters.page(Filter(), 4, before):
        assert len(page) <= 4
        seen += [letter.id for letter in page]
        before = page[-1].id
    assert seen == oldest_first[::-1]


async def test_filters_say_which_letters_are_meant(bus, letters):
    """Each part of a filter leaves out what does not match it; text is searched in any case."""
    await bury(bus, 3)
    [odd, *others] = [letter async for letter in letters.matching(Filter())]

    async def found(**wanted):
        return [letter.id async for letter in letters.matching(Filter(**wanted))]

    everything = [odd.id, *(letter.id for letter in others)]
    for part, value in {
        "stage": "enrich",
        "reason": "enrich_failed",
        "entity_id": "sensor.a",
        "fingerprint": odd.fingerprint,
        "text": "SENSOR.A",
        "since": "2020-01-01",
        "until": "9999",
    }.items():
        assert await found(**{part: value}) == everything, part
    for part, value in {
        "stage": "store",
        "reason": "malformed_event",
        "entity_id": "sensor.b",
        "fingerprint": "0" * 12,
        "text": "nowhere",
        "since": "9999",
        "until": "2020-01-01",
    }.items():
        assert await found(**{part: value}) == [], part
    assert await found(text="NO 2") == [odd.id]
    assert await found(stage="enrich", text="no 2") == [odd.id]
    assert await found(until=odd.at, since=odd.at) == []
    assert odd.id in await found(since=odd.at)


@pytest.mark.parametrize(("group", "target"), [(ENRICH, KEYS.inbox), (STORE, KEYS.enriched)])
async def test_a_replay_puts_the_entry_back_where_it_fell(bus, letters, group, target):
    """The entry comes back as it was, counted as replayed, and its letter is gone."""
    [letter_id] = await bury(bus, 1, PointRejected("no"), group)
    stream, entry_id = await letters.replay(letter_id)
    assert stream == target
    [(found, fields)] = await bus.command("XRANGE", target, entry_id, entry_id)
    assert found.decode() == entry_id
    assert fields[b"id"].decode() == event(1).id
    assert fields[b"replays"] == b"1"
    assert not [name for name in fields if name.startswith(b"dead_")]
    ledger = await balanced(bus)
    assert (ledger.dead, ledger.buried, ledger.replayed, ledger.in_flight) == (0, 1, 1, 1)
    with pytest.raises(DeadLetterNotFound):
        await letters.get(letter_id)
    with pytest.raises(DeadLetterNotFound):
        await letters.replay(letter_id)


async def test_a_replay_can_mend_the_data(bus, letters):
    """Data handed in replaces the event's own, everything else stays."""
    [letter_id] = await bury(bus, 1)
    await letters.replay(letter_id, '{"mended":true}')
    [(_, fields)] = await bus.command("XRANGE", KEYS.inbox, "-", "+")
    assert fields[b"data"] == b'{"mended":true}'
    assert fields[b"time"].decode() == event(1).time


async def test_what_falls_again_counts_its_replays(bus, letters):
    """An event that is buried a second time says how often it was replayed."""
    [letter_id] = await bury(bus, 1)
    for replays in ("1", "2"):
        await letters.replay(letter_id)
        stop = asyncio.Event()
        reader = consumer(bus)
        async for batch in reader.batches(stop):
            assert events_of(batch)[0].replays == int(replays)
            await reader.forward(batch, [StepFailed("again")], KEYS.enriched, stop)
            stop.set()
        [again] = await letters.page(Filter(), 10)
        assert again.fields["replays"] == replays
        assert again.origin == KEYS.inbox
        letter_id = again.id
    ledger = await balanced(bus)
    assert (ledger.dead, ledger.buried, ledger.replayed) == (1, 3, 2)


async def test_a_replayed_event_keeps_its_replays_when_it_is_forwarded(bus, letters):
    """How often it was replayed travels with the event to the next stream."""
    [letter_id] = await bury(bus, 1)
    await letters.replay(letter_id)
    stop = asyncio.Event()
    reader = consumer(bus)
    async for batch in reader.batches(stop):
        await reader.forward(batch, events_of(batch), KEYS.enriched, stop)
        stop.set()
    [(_, fields)] = await bus.command("XRANGE", KEYS.enriched, "-", "+")
    assert fields[b"replays"] == b"1"
    assert (await balanced(bus)).enriched == 1


async def test_eight_people_replay_each_letter_once(redis_url, bus):
    """However many replay the same letters at the same time, each is put back once."""
    ids = await bury(bus, 100)

    async def person():
        async with connect(redis_url) as own:
            results = [await attempt(DeadLetters(own), letter_id) for letter_id in ids]
            return sum(results)

    async def attempt(desk, letter_id):
        try:
            await desk.replay(letter_id)
        except DeadLetterNotFound:
            return 0
        return 1

    counts = await asyncio.gather(*(person() for _ in range(8)))
    assert sum(counts) == 100
    entries = await bus.command("XRANGE", KEYS.inbox, "-", "+")
    assert len({fields[b"id"] for _, fields in entries}) == len(entries) == 100
    ledger = await balanced(bus)
    assert (ledger.dead, ledger.replayed, ledger.in_flight) == (0, 100, 100)


async def test_a_replay_whose_answer_was_lost_is_not_repeated(redis_url, bus):
    """Who replays again after a lost answer is told that the letter is gone."""
    [first, second] = await bury(bus, 2)
    async with LossyProxy(redis_url) as proxy, connect(proxy.url) as far:
        desk = DeadLetters(far)
        await desk.replay(first)
        proxy.lose_answer_to = b"EVALSHA"
        with pytest.raises(BusUnavailable):
            await desk.replay(second)
        with pytest.raises(DeadLetterNotFound):
            await desk.replay(second)
    assert await bus.command("XLEN", KEYS.inbox) == 2
    assert (await balanced(bus)).replayed == 2


async def test_a_replay_that_cannot_be_appended_keeps_the_letter(bus, letters):
    """A letter is deleted only after its entry stands in the stream."""
    [letter_id] = await bury(bus, 1)
    await bus.command("DEL", KEYS.inbox)
    await bus.command("SET", KEYS.inbox, "not a stream")
    with pytest.raises(BusUnavailable):
        await letters.replay(letter_id)
    assert (await letters.get(letter_id)).id == letter_id
    await bus.command("DEL", KEYS.inbox)
    assert (await balanced(bus)).dead == 1


async def test_a_purge_deletes_and_counts(bus, letters):
    """Purged letters are gone and counted; those that were gone before are not counted."""
    ids = await bury(bus, 2500)
    assert await letters.purge(ids[:2001]) == 2001
    assert await letters.purge([*ids[2000:2002], "0-1"]) == 1
    assert await letters.purge([]) == 0
    ledger = await balanced(bus)
    assert (ledger.dead, ledger.purged, ledger.buried) == (498, 2002, 2500)


@pytest.mark.parametrize(
    "letter_id",
    [
        "nonsense",
        "",
        "-",
        "+",
        "1-2-3",
    ],
)
async def test_what_is_no_id_finds_no_letter(bus, letters, letter_id):
    """Whatever a person types as an id is answered by `DeadLetterNotFound`."""
    await bury(bus, 1)
    with pytest.raises(DeadLetterNotFound):
        await letters.get(letter_id)
    with pytest.raises(DeadLetterNotFound):
        await letters.replay(letter_id)
    assert (await balanced(bus)).dead == 1


async def test_half_an_id_replays_nothing(bus, letters):
    """The time of an id alone names no letter, even where Redis would find one."""
    [letter_id] = await bury(bus, 1)
    await bus.command("XADD", KEYS.dead, f"{letter_id.partition('-')[0]}-7", "id", "x")
    await bus.command("HINCRBY", KEYS.ledger, "dead", 1)
    await bus.command("HINCRBY", KEYS.ledger, "captured", 1)
    await letters.purge([letter_id])
    for _ in range(2):
        with pytest.raises(DeadLetterNotFound):
            await letters.replay(letter_id.partition("-")[0])
    assert (await balanced(bus)).dead == 1


@pytest.mark.parametrize("count", [0, 1, 3, 4, 7])
def test_ids_in_one_text_are_cut_into_batches(count):
    """All come, in their order, and no batch holds more than it may."""
    ids = [f"{n}-0" for n in range(count)]
    cut = list(batches(" ".join(ids), 3))
    assert [one for batch in cut for one in batch] == ids
    assert all(1 <= len(batch) <= 3 for batch in cut)

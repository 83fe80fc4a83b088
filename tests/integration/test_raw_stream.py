"""The head of the bus, on a real Redis: each row once, whatever happens to the answers."""

import msgspec
import pytest

from common.bus import ENRICH, Keys, RawStream, Tally, connect
from common.bus.entry import event_of
from common.errors import BusUnavailable, SpoolInUse
from common.ledger import read_ledger
from tests.fakes.bus import (
    SPOOL,
    START_MS,
    append,
    balanced,
    event,
    field_values,
    flat_of,
    letter_row,
    rows,
)
from tests.fakes.lossy_proxy import LossyProxy
from tests.fakes.redis_server import RedisServer

pytestmark = pytest.mark.integration

KEYS = Keys()


@pytest.fixture
async def bus(redis_url):
    async with connect(redis_url) as opened:
        yield opened


@pytest.fixture
async def raw(bus):
    stream = RawStream(bus, SPOOL)
    assert await stream.owner() is None
    assert await stream.own() == (0, 0)
    assert await stream.owner() == SPOOL
    return stream


async def ids(bus):
    return [entry_id.decode() for entry_id, _ in await bus.command("XRANGE", KEYS.raw, "-", "+")]


def ids_of(*numbers):
    return [f"{START_MS}-{n}" for n in numbers]


async def test_rows_get_the_entry_ids_of_the_spool(bus, raw):
    """A row's entry id is its time and its number, and its fields are those of its event."""
    assert await raw.append(rows(1, 3), Tally()) == (START_MS, 3)
    assert await ids(bus) == ids_of(1, 2, 3)
    [(_, fields), *_] = await bus.command("XRANGE", KEYS.raw, "-", "+")
    first = event(1)
    assert fields == {
        b"v": b"1",
        b"id": first.id.encode(),
        b"type": b"state_changed",
        b"entity_id": b"sensor.a",
        b"time": first.time.encode(),
        b"source": b"live",
        b"home": b"home",
        b"data": b"{}",
    }
    assert (await balanced(bus)).captured == 3


async def test_neighbours_that_differ_keep_what_is_theirs(bus, raw):
    """What neighbours share is said once; where type, source or home change, each keeps its own."""
    kept = [
        {},
        {"type": "call_service", "entity_id": ""},
        {"type": "call_service", "entity_id": "", "source": "api"},
        {"home": "cabin"},
        {},
    ]
    mixed = [
        msgspec.structs.replace(row, event=msgspec.structs.replace(row.event, **change))
        for row, change in zip(rows(1, 5), kept, strict=True)
    ]
    mixed.insert(3, letter_row(4))
    mixed[4:] = [msgspec.structs.replace(row, seq=row.seq + 1) for row in mixed[4:]]
    await raw.append(mixed, Tally())
    entries = await bus.command("XRANGE", KEYS.raw, "-", "+")
    appended = [event_of(flat_of(fields)) for _, fields in entries]
    assert appended == [row.event for row in mixed if not row.letter]


async def test_the_same_rows_are_appended_once(bus, raw):
    """A batch that is sent again, or overlaps with the one before, appends what is new."""
    await raw.append(rows(1, 5), Tally())
    assert await raw.append(rows(1, 5), Tally()) == (START_MS, 5)
    assert await raw.append(rows(4, 7), Tally()) == (START_MS, 7)
    assert await ids(bus) == ids_of(1, 2, 3, 4, 5, 6, 7)
    assert (await balanced(bus)).captured == 7


async def test_an_answer_that_was_lost_doubles_nothing(redis_url, bus):
    """Rows whose answer was lost are in the stream: who asks again goes on after them."""
    async with LossyProxy(redis_url) as proxy, connect(proxy.url) as far:
        stream = RawStream(far, SPOOL)
        await stream.own()
        proxy.lose_answer_to = b"EVALSHA"
        with pytest.raises(BusUnavailable):
            await stream.append(rows(1, 5), Tally(filtered=2, duplicates=1))
        assert await stream.own() == (START_MS, 5)
        await stream.append(rows(1, 8), Tally(filtered=2, duplicates=1))
    assert await ids(bus) == ids_of(*range(1, 9))
    ledger = await balanced(bus)
    assert (ledger.captured, ledger.filtered, ledger.duplicates) == (11, 2, 1)


async def test_counts_are_totals_so_that_repeating_them_is_harmless(bus, raw):
    """Filtered and duplicates are counted once, however often they are told."""
    for tally in (Tally(3, 1), Tally(3, 1), Tally(5, 2), Tally(5, 2)):
        await raw.append([], tally)
    ledger = await balanced(bus)
    assert (ledger.captured, ledger.filtered, ledger.duplicates) == (7, 5, 2)


async def test_letters_are_buried_once(bus, raw):
    """What could not be read becomes a dead letter, once, even as the last row of a batch."""
    mixed = [*rows(1, 2), letter_row(3), *rows(4, 4), letter_row(5)]
    for _ in range(2):
        assert await raw.append(mixed, Tally()) == (START_MS, 5)
    again = RawStream(bus, SPOOL)
    assert await again.own() == (START_MS, 5)
    await again.append([*mixed, *rows(6, 6)], Tally())
    assert await ids(bus) == ids_of(1, 2, 4, 6)
    assert await field_values(bus, KEYS.dead, "dead_reason") == ["malformed_event"] * 2
    ledger = await balanced(bus)
    assert (ledger.captured, ledger.dead, ledger.buried, ledger.in_flight) == (6, 2, 2, 4)


async def test_letters_alone_move_the_position(bus, raw):
    """A stream that got nothing but letters is not sent them again."""
    await raw.append([letter_row(1), letter_row(2)], Tally())
    assert await RawStream(bus, SPOOL).own() == (START_MS, 2)
    assert await ids(bus) == []


async def test_a_stream_that_lost_its_tail_is_found_out(tmp_path):
    """A Redis that comes back with less than it had takes nothing before it was asked again."""
    with RedisServer(tmp_path) as server:
        async with connect(server.url) as bus:
            raw = await append(bus, 1, 5)
            await bus.command("SAVE")
            await raw.append(rows(6, 9), Tally(filtered=4))
            server.kill()
            server.start()
            with pytest.raises(BusUnavailable):  # the old connection
                await raw.append(rows(10, 10), Tally(filtered=4))
            with pytest.raises(BusUnavailable, match="lost entries"):
                await raw.append(rows(10, 10), Tally(filtered=4))
            assert await ids(bus) == ids_of(1, 2, 3, 4, 5)
            assert await raw.own() == (START_MS, 5)
            await raw.append(rows(6, 10), Tally(filtered=4))
            assert await ids(bus) == ids_of(*range(1, 11))
            ledger = await balanced(bus)
            assert (ledger.captured, ledger.filtered) == (14, 4)


async def test_a_redis_that_was_emptied_gets_everything_again(bus, raw):
    """After FLUSHALL the writer is told to begin anew, and all its rows stand once."""
    await raw.append(rows(1, 5), Tally(filtered=3))
    await bus.command("FLUSHALL")
    with pytest.raises(BusUnavailable, match="lost entries"):
        await raw.append(rows(6, 6), Tally(filtered=3))
    assert await raw.owner() is None
    assert await raw.own() == (0, 0)
    await raw.append(rows(1, 6), Tally(filtered=3))
    assert await ids(bus) == ids_of(*range(1, 7))
    assert (await balanced(bus)).captured == 9


async def test_a_stream_that_was_deleted_gets_everything_again(bus, raw):
    """A watermark that outlived its stream does not hide that the stream is gone."""
    await raw.append([*rows(1, 5), letter_row(6)], Tally())
    await bus.command("DEL", KEYS.raw)
    with pytest.raises(BusUnavailable, match="lost entries"):
        await raw.append(rows(7, 7), Tally())
    assert await raw.own() == (0, 0)


async def test_one_spool_writes_a_stream(bus, raw):
    """A spool that lost the stream to another is told so, and its rows are not appended."""
    await raw.append(rows(1, 2), Tally())
    other = RawStream(bus, "another-spool")
    assert await other.owner() == SPOOL
    assert await other.own() == (START_MS, 2)
    with pytest.raises(SpoolInUse, match="BUS_PREFIX"):
        await raw.append(rows(3, 3), Tally())
    assert await ids(bus) == ids_of(1, 2)


async def test_the_history_is_complete_until_the_newest_live_event(bus, raw):
    """The watermark says until when everything was captured, and does not forget it."""
    await raw.append(rows(1, 1), Tally(complete_until="2026-11-20T15:44:33.435789+00:00"))
    await raw.append(rows(2, 2), Tally())
    complete_until = await bus.read_field(KEYS.watermark, "complete_until")
    assert complete_until == b"2026-11-20T15:44:33.435789+00:00"


async def test_a_stream_of_the_wrong_type_is_waited_out(bus, raw):
    """A key that is no stream refuses rows, counts nothing, and takes them once it is mended."""
    await bus.command("SET", KEYS.raw, "not a stream")
    with pytest.raises(BusUnavailable, match=f"RENAME {KEYS.raw}"):
        await raw.append(rows(1, 2), Tally(filtered=1))
    assert (await read_ledger(bus)).captured == 0
    await bus.command("DEL", KEYS.raw)
    await raw.own()
    await raw.append(rows(1, 2), Tally(filtered=1))
    assert (await balanced(bus)).captured == 3


async def test_a_letter_that_cannot_be_buried_stops_the_batch_there(bus, raw):
    """What stands before the row that failed is appended and counted, what follows is not."""
    await bus.command("SET", KEYS.dead, "not a stream")
    batch = [*rows(1, 2), letter_row(3), *rows(4, 4)]
    with pytest.raises(BusUnavailable):
        await raw.append(batch, Tally())
    assert await ids(bus) == ids_of(1, 2)
    await bus.command("DEL", KEYS.dead)
    assert (await balanced(bus)).captured == 2
    assert await raw.own() == (START_MS, 2)
    await raw.append(batch, Tally())
    assert await ids(bus) == ids_of(1, 2, 4)
    ledger = await balanced(bus)
    assert (ledger.captured, ledger.dead) == (4, 1)


async def test_ids_beyond_the_exact_numbers_of_lua_are_compared_right(bus, raw):
    """A time of today in milliseconds and a large number in the spool are both exact."""
    far = [row.__class__(row.seq + 2**40, row.ms, row.event, row.letter) for row in rows(1, 2)]
    await raw.append(far, Tally())
    assert await raw.append(far, Tally()) == (START_MS, 2**40 + 2)
    assert len(await ids(bus)) == 2


async def test_entries_that_enrich_trimmed_are_not_sent_again(bus, raw):
    """A stream that was trimmed to nothing still knows its last id."""
    await raw.append(rows(1, 5), Tally())
    await bus.command("XGROUP", "CREATE", KEYS.raw, ENRICH, "$")
    await bus.command("XTRIM", KEYS.raw, "MAXLEN", 0)
    assert await RawStream(bus, SPOOL).own() == (START_MS, 5)

"""The index of dead letters on a real Redis: it is right whoever adds and deletes letters."""

import pytest

from common.bus import DeadLetters, Filter, Keys, connect, letter_index
from tests.fakes.bus import flat_of

pytestmark = pytest.mark.integration

KEYS = Keys()


@pytest.fixture
async def bus(redis_url):
    async with connect(redis_url) as opened:
        yield opened


@pytest.fixture(autouse=True)
def _in_small_parts(monkeypatch):
    monkeypatch.setattr(letter_index, "AT_ONCE", 3)


async def fall(bus, count, cause="x", entry_id="*"):
    """Add letters as a worker would; return their ids."""
    fields = {
        b"id": b"some",
        b"entity_id": b"sensor.a",
        b"data": b"{}",
        b"dead_stage": b"store",
        b"dead_reason": b"point_rejected",
        b"dead_error": f"cause {cause}".encode(),
        b"dead_fingerprint": cause.encode(),
        b"dead_at": b"2026-11-20T15:44:33.435789+00:00",
    }
    added = [await bus.command("XADD", KEYS.dead, entry_id, *flat_of(fields)) for _ in range(count)]
    return [one.decode() for one in added]


async def counts(letters):
    return {group.cause.fingerprint: group.count for group in await letters.groups(Filter())}


async def test_new_letters_are_counted_at_once(bus):
    """Each look reads what came since the last one, however much it is."""
    letters = DeadLetters(bus)
    assert await counts(letters) == {}
    first = await fall(bus, 7)
    assert await counts(letters) == {"x": 7}
    last = await fall(bus, 2, "y")
    [x, y] = await letters.groups(Filter())
    assert (x.count, y.count) == (7, 2)
    assert (x.first_id, x.last_id, y.last_id) == (first[0], first[-1], last[-1])
    assert x.first_at == "2026-11-20T15:44:33.435789+00:00"
    assert await counts(DeadLetters(bus)) == {"x": 7, "y": 2}


async def test_letters_that_others_delete_are_noticed(bus):
    """XDEL and XTRIM by hand, of the oldest, of some in between and of the newest."""
    letters = DeadLetters(bus)
    ids = await fall(bus, 20) + await fall(bus, 5, "y")
    assert await counts(letters) == {"x": 20, "y": 5}
    await bus.command("XDEL", KEYS.dead, *ids[:4])
    assert await counts(letters) == {"x": 16, "y": 5}
    await bus.command("XDEL", KEYS.dead, ids[7], ids[11], ids[24])
    await fall(bus, 3, "z")
    assert await counts(letters) == {"x": 14, "y": 4, "z": 3}
    await bus.command("XTRIM", KEYS.dead, "MAXLEN", 2)
    assert await counts(letters) == {"z": 2}
    await bus.command("DEL", KEYS.dead)
    assert await counts(letters) == {}


async def test_what_others_deleted_is_found_by_the_ids_alone(bus):
    """The letters that stay are not read again: only ids are compared."""
    letters = DeadLetters(bus)
    ids = await fall(bus, 10)
    table = await letters.index.fresh()
    await bus.command("XDEL", KEYS.dead, ids[0], ids[4], ids[9])
    assert await letters.index.fresh() is table
    assert len(table) == 7


async def test_a_stream_that_was_made_anew_is_read_anew(bus):
    """After a loss of all data ids may begin again below those that were known."""
    letters = DeadLetters(bus)
    await fall(bus, 3)
    assert await counts(letters) == {"x": 3}
    await bus.command("DEL", KEYS.dead)
    await fall(bus, 1, "y", "5-1")
    await fall(bus, 1, "y", "5-2")
    assert await counts(letters) == {"y": 2}


async def test_what_is_replayed_or_purged_here_needs_no_second_look(bus, monkeypatch):
    """Letters that this process moved are forgotten by their ids."""
    letters = DeadLetters(bus)
    ids = await fall(bus, 6)
    assert await counts(letters) == {"x": 6}
    monkeypatch.setattr(letters.index, "_compare", None)
    await letters.replay(ids[3])
    await letters.purge([ids[4]])
    assert await counts(letters) == {"x": 4}


async def test_a_page_of_a_rare_letter_comes_at_once(bus):
    """A filter without text is answered from the index: only what is shown is read."""
    letters = DeadLetters(bus)
    rare = [*await fall(bus, 1, "rare"), *await fall(bus, 30), *await fall(bus, 1, "rare")][::31]
    page = await letters.search(Filter(fingerprint="rare"), 1)
    assert [letter.id for letter in page.letters] == rare[1:]
    assert (page.total, page.matching, page.scanned) == (32, 2, 2)
    page = await letters.search(Filter(fingerprint="rare"), 1, page.before)
    assert [letter.id for letter in page.letters] == rare[:1]
    assert page.before is None


async def test_looking_for_a_text_goes_on_page_by_page(bus, monkeypatch):
    """A page reads a bounded number of letters; its cursor goes on where it stopped."""
    monkeypatch.setattr("common.bus.dead_letters.SCANNED_AT_MOST", 4)
    monkeypatch.setattr("common.bus.dead_letters.ROWS_AT_ONCE", 3)
    letters = DeadLetters(bus)
    wanted = [*await fall(bus, 2, "needle"), *await fall(bus, 9), *await fall(bus, 1, "needle")]
    wanted = [wanted[-1], wanted[1], wanted[0]]
    seen, before, pages = [], None, 0
    while pages == 0 or before:
        page = await letters.search(Filter(text="NEEDLE"), 2, before)
        assert page.scanned <= 4
        assert page.matching is None
        seen += [letter.id for letter in page.letters]
        before, pages = page.before, pages + 1
    assert seen == wanted
    assert await letters.ids(Filter(text="needle")) == wanted[::-1]
    [group] = await letters.groups(Filter(text="needle"))
    assert (group.cause.fingerprint, group.count) == ("needle", 3)
    full = await letters.search(Filter(text="cause"), 2)
    assert len(full.letters) == 2
    assert full.before == full.letters[-1].id

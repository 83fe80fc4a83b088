"""A spool whose file is damaged, or whose disk is full or fails."""

import sqlite3
from contextlib import closing

import pytest

from common.errors import SpoolUnavailable
from ingest import disk as disk_module
from ingest import fresh as fresh_module
from ingest import rows as rows_module
from ingest import spool as spool_module
from ingest.spool import open_spool
from tests.fakes.bus import START_MS, event

pytestmark = pytest.mark.integration

PAGE = 4096
BIG = b'"' + b"x" * 3_000 + b'"'


@pytest.fixture
def path(tmp_path):
    return tmp_path / "spool.db"


async def fill(path, first, last, *, each=1):
    """Events in batches of so many; then the spool is closed."""
    async with open_spool(path) as spool:
        for n in range(first, last + 1, each):
            batch = [event(i, data=BIG) for i in range(n, min(n + each, last + 1))]
            await spool.add(batch, filtered=1, now_ms=START_MS)
        return spool.identity


def damage(path, page, with_bytes=b"\0" * PAGE):
    with path.open("r+b") as file:
        file.seek(page * PAGE)
        file.write(with_bytes)


def killed(path):
    """What a process that was killed leaves: a log beside the file."""
    path.with_name(path.name + "-wal").touch()


async def numbers(spool):
    found, last = [], 0
    while rows := await spool.after(last, 100):
        last = rows[-1].seq
        found += [row.seq for row in rows]
    return found


def aside(path):
    return sorted(path.parent.glob("spool.db.corrupt-*Z"))


@pytest.mark.parametrize("content", [b"no database" * 1000, b"SQLite format 3\0" + b"x" * 9000])
async def test_a_file_that_is_no_database_is_set_aside(path, content):
    """The spool begins anew; what stood there is kept under another name."""
    path.write_bytes(content)
    async with open_spool(path) as spool:
        assert await spool.add([event(1)], filtered=0, now_ms=START_MS) == 1
        assert "0 events" in str(spool.damage)
    [kept] = aside(path)
    assert kept.read_bytes() == content


async def test_a_head_that_names_no_format_is_damage(path):
    """SQLite has no result code of its own for it; to wait for the disk would be in vain."""
    await fill(path, 1, 3)
    damage(path, 0, path.read_bytes()[:44] + b"\x7f\x7f\x7f\x7f")
    async with open_spool(path) as spool:
        assert await spool.add([event(9)], filtered=0, now_ms=START_MS) == 1
    assert len(aside(path)) == 1


@pytest.mark.parametrize("page", [20, 60, 110])
async def test_a_damaged_page_costs_what_stood_on_it(path, page):
    """Found at the start after a kill: all the rest goes on, with its numbers and its identity."""
    identity = await fill(path, 1, 200)
    damage(path, page)
    killed(path)
    async with open_spool(path) as spool:
        assert len(aside(path)) == 1
        found = await numbers(spool)
        assert 150 <= len(found) <= 200
        assert found == sorted(set(found))
        assert spool.identity == identity
        assert spool.tally.filtered == 200
        assert await spool.add([event(500)], filtered=0, now_ms=START_MS) == 1
        assert (await numbers(spool))[-1] > found[-1]
        assert "could be read" in str(spool.damage)


async def test_damage_that_is_met_at_work_is_healed_at_work(path):
    """Nothing ends: the sender goes on behind the damage, and the door stays open."""
    await fill(path, 1, 200)
    async with open_spool(path) as spool:
        for page in (30, 50, 70):
            damage(path, page)
        await spool.add([event(300)], filtered=0, now_ms=START_MS)
        found = await numbers(spool)
        assert 150 <= len(found) < 201
        assert found[-1] == 201
        assert spool.tally.filtered == 200
        assert len(aside(path)) == 1
        assert await spool.add([event(1)], filtered=0, now_ms=START_MS) in (0, 1)
        tally = spool.tally
    async with open_spool(path) as spool:
        assert (await numbers(spool))[: len(found)] == found
        assert spool.tally == tally


async def test_what_only_the_memory_has_is_saved_too(path):
    """Rows that were not sent yet survive the damage of the file under them."""
    async with open_spool(path) as spool:
        for n in range(1, 50):
            await spool.add([event(n, data=BIG)], filtered=0, now_ms=START_MS)
        await spool._begin_anew(spool_module.SpoolDamaged("by hand"))
        spool._fresh.forget()
        assert await numbers(spool) == list(range(1, 50))


def entities_of(batches):
    """The entities of batches of events."""
    return {event.entity_id for _, events in batches for event in events}


async def test_what_only_looks_at_the_spool_bears_a_batch_that_cannot_be_read(path):
    """Who sends or deletes it mends it; nobody ends of it before that, over and over again."""
    await fill(path, 1, 3)
    async with open_spool(path) as spool:
        spool._disk.writer.execute("UPDATE batch SET events = x'c1' WHERE last = 1")
        assert entities_of(spool.rows.newest(100)) == {"sensor.a"}
        with pytest.raises(SpoolUnavailable):
            spool.measures()


async def test_a_page_that_is_no_page_does_not_end_what_only_looks(path):
    """Ingest would end of it at each start, for the file was closed in order."""
    await fill(path, 1, 200)
    damage(path, 60)
    async with open_spool(path) as spool:
        assert entities_of(spool.rows.newest(1000)) <= {"sensor.a"}
        assert not aside(path)


async def test_damage_that_a_fact_meets_is_mended(path):
    """What is to be noted is noted in the new file."""
    async with open_spool(path) as spool:
        await spool.add([event(1)], filtered=0, now_ms=START_MS)
        spool._disk.writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        [(root,)] = spool._disk.ask("SELECT rootpage FROM sqlite_schema WHERE name = 'fact'")
        damage(path, root - 1)
        for connection in (spool._disk.reader, spool._disk.writer):
            connection.execute("PRAGMA shrink_memory")
        await spool.note({"entities": "[]"})
        assert spool.fact("entities") == "[]"
        assert await numbers(spool) == [1]
    assert len(aside(path)) == 1
    async with open_spool(path) as spool:
        assert spool.fact("entities") == "[]"


async def test_a_batch_that_cannot_be_decoded_is_damage(path):
    """SQLite has no checksums: what it reads without an error may still be rubbish."""
    await fill(path, 1, 30)
    async with open_spool(path) as spool:
        spool._disk.writer.execute("UPDATE batch SET events = x'ff00' WHERE last = 7")
        assert await numbers(spool) == [n for n in range(1, 31) if n != 7]
        assert len(aside(path)) == 1


@pytest.mark.parametrize("where", ["last > 0", "last = 20", "last = 200"])
@pytest.mark.parametrize("value", ["x'00ff'", "'text'", "1.5"])
@pytest.mark.parametrize("column", ["ms", "events", "letters", "reach", "ids"])
async def test_a_value_that_has_another_type_is_damage(path, column, value, where):
    """One bit makes a text bytes: all goes on, and nothing ends of it again and again."""
    await fill(path, 1, 200, each=20)
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(f"UPDATE batch SET {column} = {value} WHERE {where}")  # noqa: S608 - ours
    for n in (300, 301):
        async with open_spool(path) as spool:
            known = [event(k) for k in range(50, 60)]
            assert await spool.add([event(n), *known], filtered=0, now_ms=START_MS) in {1, 11}
            await spool.lift(5, (START_MS + 1, 5))
            found = await numbers(spool)
            assert found == sorted(set(found))
            assert await spool.trim(found[0], START_MS + 2, 10**12) <= found[0]
            spool.measures()


async def test_a_latest_time_that_is_no_text_is_damage(path):
    """It says nothing any more; the state that asks for it is taken for news."""
    async with open_spool(path) as spool:
        for n in (1, 2):
            await spool.add([event(n)], filtered=0, now_ms=START_MS)
        await spool.trim(1, START_MS + 1, 10**12)
        spool._disk.writer.execute("UPDATE latest SET time = x'00ff'")
        assert await spool.add([event(3, source="snapshot")], filtered=0, now_ms=START_MS) == 1
    assert len(aside(path)) == 1


@pytest.mark.parametrize("is_met_at_start", [True, False])
async def test_a_fact_of_which_a_bit_flipped_is_damage(path, is_met_at_start):
    """It alone is gone; what it said is in doubt like all that was not sent."""
    identity = await fill(path, 1, 60)
    async with open_spool(path) as spool:
        await spool.note({"entities": '["sensor.kitchen"]', "gaps": "[]"})
    content = path.read_bytes()
    flipped = content.replace(b'["sensor.kitchen"]', b'["sensor.kitchen\x02]')
    assert flipped != content
    path.write_bytes(flipped)
    if not is_met_at_start:  # another damage is met first, and what can be read is saved
        damage(path, 30)
        killed(path)
    async with open_spool(path) as spool:
        assert spool.fact("entities") is None
        assert spool.fact("gaps") == "[]"
        assert spool.fact(spool_module.HELD) == spool_module.IN_DOUBT
        assert spool.identity == identity
        assert (await numbers(spool) == list(range(1, 61))) == is_met_at_start
    assert len(aside(path)) == 1


async def test_a_damaged_time_hides_no_state(path):
    """A time far ahead, by a flipped bit, would let every state to come pass for known."""
    async with open_spool(path) as spool:
        for n in (1, 2):
            await spool.add([event(n)], filtered=0, now_ms=START_MS)
        await spool.trim(1, START_MS + 1, 10**12)
        spool._disk.writer.execute("UPDATE latest SET time = replace(time, '202', '302')")
        await spool._begin_anew(spool_module.SpoolDamaged("by hand"))
        state = event(3, source="snapshot")
        assert await spool.add([state], filtered=0, now_ms=START_MS) == 1


async def test_the_facts_of_an_older_habus_go_on(path):
    """They had no checksums."""
    identity = await fill(path, 1, 3)
    with closing(sqlite3.connect(path)) as db:
        db.execute("ALTER TABLE fact DROP COLUMN checksum")
    for n in (4, 5):
        async with open_spool(path) as spool:
            assert spool.identity == identity
            assert spool.tally.filtered == n - 1
            await spool.add([event(n)], filtered=1, now_ms=START_MS)
    assert not aside(path)


async def test_a_torn_log_costs_what_was_not_committed(path, tmp_path):
    """Cut at any byte, the log gives whole batches: those before the cut."""
    async with open_spool(path) as spool:
        for n in range(1, 20):
            await spool.add([event(n)], filtered=0, now_ms=START_MS)
        file, log = path.read_bytes(), path.with_name("spool.db-wal").read_bytes()
    previous = []
    for cut in range(0, len(log), len(log) // 17):
        torn = tmp_path / f"torn-{cut}.db"
        torn.write_bytes(file)
        torn.with_name(torn.name + "-wal").write_bytes(log[:cut] + b"rubbish")
        async with open_spool(torn) as spool:
            found = await numbers(spool)
            assert found == list(range(1, len(found) + 1))
            assert len(found) >= len(previous)
            previous = found
    assert len(previous) > 10
    assert not aside(path)


async def test_a_full_disk_gives_up_what_was_sent(path):
    """With no page left, sent rows go at once and the next events take their place."""
    async with open_spool(path) as spool:
        for n in range(1, 41):
            await spool.add([event(n, data=BIG)], filtered=0, now_ms=START_MS)
        spool.sent = 30
        (pages,) = spool._disk.writer.execute("PRAGMA page_count").fetchone()
        spool._disk.writer.execute(f"PRAGMA max_page_count = {pages}")
        for n in range(41, 65):
            await spool.add([event(n, data=BIG)], filtered=0, now_ms=START_MS)
        spool._fresh.forget()
        assert await numbers(spool) == list(range(31, 65))
        with pytest.raises(SpoolUnavailable, match="free space"):
            await spool.add([event(n, data=BIG) for n in range(65, 99)], filtered=0, now_ms=0)
        assert (await numbers(spool))[0] == 31


async def test_the_ballast_comes_back_when_there_is_room(path, monkeypatch):
    """It is given up while room is made, and taken again; where there is little room, later."""
    ballast = path.with_name("spool.db.ballast")
    async with open_spool(path) as spool:
        assert ballast.stat().st_size == disk_module.BALLAST_BYTES
        async with spool._disk.without_ballast():
            assert not ballast.exists()
        assert ballast.stat().st_size == disk_module.BALLAST_BYTES
        ballast.unlink()
        monkeypatch.setattr(spool._disk, "free_bytes", lambda: disk_module.BALLAST_BYTES)
        await spool.trim(0, 0, 10**12)
        assert not ballast.exists()
        monkeypatch.undo()
        await spool.trim(0, 0, 10**12)
        assert ballast.exists()


async def test_memory_is_bounded_in_bytes(path, monkeypatch):
    """Large events that wait are read from the disk, and few at once."""
    monkeypatch.setattr(fresh_module, "IN_MEMORY_BYTES", 100_000)
    monkeypatch.setattr(rows_module, "READ_AT_ONCE_BYTES", 20_000)
    async with open_spool(path) as spool:
        for n in range(1, 101):
            await spool.add([event(n, data=BIG)], filtered=0, now_ms=START_MS)
            fresh = spool._fresh
            assert fresh.size_bytes == sum(len(row.event.data) for row in fresh.all())
            assert fresh.size_bytes <= 100_000
        rows = await spool.after(0, 500)
        assert len(rows) < 10
        assert await numbers(spool) == list(range(1, 101))

"""Which events stand in the spool: asked of its file, and compared with all that was added."""

import asyncio
import random
import sqlite3
from contextlib import closing

import msgspec
import pytest

from common.event import BACKFILL, time_of
from ingest import rows as rows_module
from ingest.known import key_of, standing
from ingest.spool import open_spool
from tests.fakes.bus import START_MS, START_US, event

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("seed", range(30))
async def test_what_stands_is_known_and_nothing_else(tmp_path, monkeypatch, seed):
    """In whatever order and company events came: each that stands is found, and no other."""
    monkeypatch.setattr(rows_module, "IN_ONE_BATCH", 3)
    dice = random.Random(seed)  # noqa: S311 - a shuffle that can be repeated
    numbers = list(range(0, 300, 2))
    for _ in range(dice.choice((0, 5, 300))):  # in order, nearly so, or not at all
        i, j = dice.randrange(150), dice.randrange(150)
        numbers[i], numbers[j] = numbers[j], numbers[i]
    async with open_spool(tmp_path / "spool.db") as spool:
        while numbers:
            some = [numbers.pop(0) for _ in range(min(len(numbers), dice.randint(1, 8)))]
            assert await spool.add([event(n) for n in some], filtered=0, now_ms=START_MS) == len(
                some
            )
        asked = [key_of(event(n)) for n in range(-1, 298)]
        expected = {key_of(event(n)) for n in range(0, 298, 2)}
        assert standing(spool._disk.ask, dice.sample(asked, len(asked))) == expected
        for key in dice.sample(asked, 20):
            assert standing(spool._disk.ask, [key]) == {key} & expected
    async with open_spool(tmp_path / "spool.db") as spool:  # a restart forgets nothing
        again = [event(n) for n in dice.sample(range(298), 100)]
        new = [one for one in again if key_of(one) not in expected]
        assert await spool.add(again, filtered=0, now_ms=START_MS) == len(new)
        assert await spool.add(again, filtered=0, now_ms=START_MS) == 0


async def test_live_events_leave_no_key_of_their_own(tmp_path):
    """What comes in order is known by its batch alone; only what is late has a row in `once`."""
    async with open_spool(tmp_path / "spool.db") as spool:
        live = [event(n) for n in range(10, 20)]
        assert await spool.add(live, filtered=0, now_ms=START_MS) == 10
        late = [event(n, source=BACKFILL) for n in range(5, 15)]
        assert await spool.add([*late, event(20)], filtered=0, now_ms=START_MS) == 6
        assert await spool.add([*live, *late], filtered=0, now_ms=START_MS) == 0
        kept = spool._disk.ask("SELECT time, id FROM once ORDER BY time")
        assert kept == [key_of(event(n)) for n in range(5, 10)]


async def test_two_events_of_one_time_are_two(tmp_path):
    """At the same microsecond two entities may change; each stands once."""
    both = [event(1, "sensor.a"), event(1, "sensor.b")]
    async with open_spool(tmp_path / "spool.db") as spool:
        assert await spool.add([*both, *both], filtered=0, now_ms=START_MS) == 2
        assert await spool.add(both, filtered=0, now_ms=START_MS) == 0


async def test_a_time_far_ahead_hides_nothing(tmp_path):
    """After one event of a wrong clock all others are late, and each stands once all the same."""
    far = msgspec.structs.replace(event(1), time=time_of(START_US * 2), id="far")
    async with open_spool(tmp_path / "spool.db") as spool:
        await spool.add([far], filtered=0, now_ms=START_MS)
        assert await spool.add([event(2), event(3)], filtered=0, now_ms=START_MS) == 2
        assert await spool.add([event(2), event(3), far], filtered=0, now_ms=START_MS) == 0


@pytest.mark.parametrize("lacking", [["ids"], ["ids", "reach"]])
async def test_a_file_of_an_older_habus_goes_on(tmp_path, lacking):
    """Batches had no ids; before that each key stood in `once`, and batches had no reach."""
    path = tmp_path / "spool.db"
    async with open_spool(path) as spool:
        await spool.add([event(n) for n in range(1, 9)], filtered=0, now_ms=START_MS)
    with closing(sqlite3.connect(path)) as db:
        for column in lacking:
            db.execute(f"ALTER TABLE batch DROP COLUMN {column}")
        keys = [key_of(event(n)) for n in range(1, 9) if "reach" in lacking]
        db.executemany("INSERT OR IGNORE INTO once VALUES (?, ?)", keys)
        db.commit()
    async with open_spool(path) as spool:
        assert await spool.add([event(n) for n in range(12)], filtered=0, now_ms=START_MS) == 4
        assert await spool.add([event(n) for n in range(12)], filtered=0, now_ms=START_MS) == 0
        rows = await spool.after(0, 100)
    assert [row.event for row in rows] == [event(n) for n in (*range(1, 9), 0, 9, 10, 11)]


async def test_what_history_gives_while_events_come_live_stands_once(tmp_path):
    """Two that add at the same time see each other's events."""
    async with open_spool(tmp_path / "spool.db") as spool:
        adding = [
            spool.add([event(n) for n in range(i, i + 20)], filtered=0, now_ms=START_MS)
            for i in (0, 10, 5, 15, 0)
        ]
        assert sum(await asyncio.gather(*adding)) == 35
        rows = await spool.after(0, 100)
    assert len({row.event.id for row in rows}) == len(rows) == 35

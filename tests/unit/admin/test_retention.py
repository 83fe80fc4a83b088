"""Letting go of dead letters after so many days, on a Redis in memory."""

import asyncio
import time

import pytest

from admin.retention import DAY_US, Fate, expire, fate, keep_retained
from common.bus import DeadLetters, Filter
from common.event import time_of
from tests.fakes.until import until

NOW_US = 1_795_189_957_000_000


@pytest.fixture
async def letters(admin):
    """Letters that were buried 0, 1, 2… 9 days ago."""
    for days in range(9, -1, -1):
        ms = (NOW_US - days * DAY_US) // 1000
        await admin.bus.command("XADD", admin.bus.keys.dead, f"{ms}-0", "dead_reason", "x")
    await admin.bus.command("HSET", admin.bus.keys.ledger, "dead", 10, "captured", 10)
    return DeadLetters(admin.bus)


async def test_only_what_is_too_old_goes(admin, letters):
    """Letters older than that go, counted as purged and written into the audit."""
    assert await expire(letters, 8.5, NOW_US) == 1
    assert await expire(letters, 8.5, NOW_US) == 0
    assert await expire(letters, 3.5, NOW_US) == 5
    assert len(await letters.ids(Filter())) == 4
    ledger = await admin.bus.read_hash(admin.bus.keys.ledger)
    assert (ledger["dead"], ledger["purged"]) == (b"4", b"6")
    lines = await admin.bus.command("XRANGE", admin.bus.keys.audit, "-", "+")
    assert [(f[b"action"], f[b"count"], f[b"via"]) for _, f in lines] == [
        (b"expire", b"1", b"habus"),
        (b"expire", b"5", b"habus"),
    ]


async def test_what_goes_soon_is_known_before(letters):
    """A week ahead it is said how many go, and when the oldest does."""
    assert await fate(letters, 0, NOW_US) == Fate(0)
    assert await fate(letters, 30, NOW_US) == Fate(30, 0, time_of(NOW_US + 21 * DAY_US))
    assert (await fate(letters, 10.5, NOW_US)).going == 6
    assert (await fate(letters, 5, NOW_US)).going == 10
    await letters.purge(await letters.ids(Filter()))
    assert await fate(letters, 5, NOW_US) == Fate(5)
    assert Fate(5).in_words == ()


async def test_it_goes_on_by_itself(admin, letters):
    """The worker deletes what is too old; with 0 days it never does."""
    stop = asyncio.Event()
    await keep_retained(letters, 0, stop)
    old = (time.time_ns() // 1_000_000 - 4 * 86_400_000, time.time_ns() // 1_000_000 - 86_400_000)
    await admin.bus.command("DEL", admin.bus.keys.dead)
    for ms in old:
        await admin.bus.command("XADD", admin.bus.keys.dead, f"{ms}-0", "dead_reason", "x")
    desk = admin.app.state.desk
    keeping = asyncio.create_task(keep_retained(letters, 3, stop, desk.foresee))

    async def one_is_left():
        return await admin.bus.command("XLEN", admin.bus.keys.dead) == 1

    await until(one_is_left, what="the deletion")
    await until(lambda: desk.fate.going, what="the warning")
    [warning] = (await desk.health()).warnings
    assert warning.startswith("1 dead letters are deleted within 3 days, the first at ")
    stop.set()
    await keeping

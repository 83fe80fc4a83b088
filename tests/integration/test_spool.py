"""The spool on a real disk."""

import asyncio
import random
import sqlite3
import subprocess
import sys
from contextlib import AsyncExitStack

import msgspec
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from common.bus import Tally
from common.errors import SpoolInUse, SpoolUnavailable
from common.event import BACKFILL, LIVE, SNAPSHOT
from ingest import fresh as fresh_module
from ingest import rows as rows_module
from ingest import spool as spool_module
from ingest.batch import READ, unpacked
from ingest.known import key_of, late_ones
from ingest.spool import open_spool
from tests.fakes.bus import START_MS, event, letter_row

pytestmark = pytest.mark.integration

NEVER = 10**15
"""More bytes than any spool takes."""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "new folder" / "spool.db"


@pytest.fixture
async def spool(path):
    async with open_spool(path) as opened:
        yield opened


def events(*numbers):
    return [event(n) for n in numbers]


async def add(spool, *numbers, filtered=0, now_ms=START_MS):
    return await spool.add(events(*numbers), filtered=filtered, now_ms=now_ms)


def on_disk(spool):
    """(number, ms, event) of all that stands in the file."""
    batches = spool._disk.reader.execute(f"{READ} ORDER BY last").fetchall()
    return [(row.seq, row.ms, row.event) for b in batches for row in unpacked(b)]


def standing(spool):
    """Numbers of the events on the disk."""
    return [seq for seq, _, _ in on_disk(spool)]


async def numbers_of(spool):
    return [(row.seq, row.event) for row in await spool.after(0, 10_000)]


async def test_rows_are_numbered_densely_in_the_order_they_came(spool):
    """Each new event gets the next number, and an id that is larger than the one before."""
    assert await add(spool, 5, 3) == 2
    assert await add(spool, 9, now_ms=START_MS + 7) == 1
    rows = await spool.after(0, 10)
    assert [(row.seq, row.ms) for row in rows] == [
        (1, START_MS),
        (2, START_MS),
        (3, START_MS + 7),
    ]
    assert [row.event for row in rows] == events(5, 3, 9)
    assert await spool.after(1, 1) == rows[1:2]
    assert await spool.after(3, 10) == []


async def test_what_comes_twice_stands_once(spool):
    """In one batch or in two: a double is dropped and counted."""
    assert await add(spool, 1, 2, 2) == 2
    assert await add(spool, 2, 3, 1) == 1
    assert await numbers_of(spool) == [(1, event(1)), (2, event(2)), (3, event(3))]
    assert spool.tally.duplicates == 3


async def test_a_commit_waits_for_the_disk(spool):
    """What was added survives a power cut: SQLite's FULL (2) or more, and a write-ahead log."""
    writer = spool._disk.writer
    assert writer.execute("PRAGMA synchronous").fetchone()[0] >= 2
    assert writer.execute("PRAGMA journal_mode").fetchone() == ("wal",)


async def test_a_clock_that_goes_back_does_not_take_ids_back(spool):
    """Ids grow though the clock falls."""
    await add(spool, 1, now_ms=START_MS + 100)
    await add(spool, 2, now_ms=START_MS - 5_000)
    assert [(row.ms, row.seq) for row in await spool.after(0, 9)] == [
        (START_MS + 100, 1),
        (START_MS + 100, 2),
    ]


async def test_a_row_that_becomes_a_letter_comes_back_as_one(path):
    """The dead letter of what cannot be read survives in the spool as it was."""
    unreadable = letter_row(7)
    async with open_spool(path) as spool:
        new = await spool.add(
            events(1), [(unreadable.event, unreadable.letter)], filtered=2, now_ms=START_MS
        )
        assert new == 2
    async with open_spool(path) as spool:
        [row, letter] = await spool.after(0, 10)
        assert (row.event, row.letter) == (event(1), [])
        assert letter.event == unreadable.event
        assert list(map(as_bytes, letter.letter)) == list(map(as_bytes, unreadable.letter))
        assert (spool.tally.filtered, spool.tally.duplicates) == (2, 0)


def as_bytes(field):
    return field if isinstance(field, bytes) else str(field).encode()


async def test_everything_is_known_again_after_a_restart(path):
    """Numbers, ids, counts and the identity go on where they were."""
    async with open_spool(path) as spool:
        await add(spool, 1, 2, 2, filtered=5, now_ms=START_MS + 50)
        identity, tally = spool.identity, spool.tally
        assert tally == Tally(5, 1, event(2).time)
    async with open_spool(path) as spool:
        assert (spool.identity, spool.tally) == (identity, tally)
        assert await numbers_of(spool) == [(1, event(1)), (2, event(2))]
        assert await add(spool, 2, 3) == 1
        [row] = await spool.after(2, 10)
        assert (row.seq, row.ms) == (3, START_MS + 50)


async def test_others_do_not_take_the_numbers_of_a_commit_that_stands_though_it_failed(
    spool, monkeypatch
):
    """Of a commit that failed at its sync all may stand: what is added next comes after it."""
    in_thread = spool._disk.in_thread

    async def fail_at_the_sync(call):
        await in_thread(call)
        raise SpoolUnavailable("the sync failed")

    both = [event(1), event(2)]
    with monkeypatch.context() as broken:
        broken.setattr(spool._disk, "in_thread", fail_at_the_sync)
        with pytest.raises(SpoolUnavailable):
            await spool.add(both, filtered=0, now_ms=START_MS)
    added = await spool.add([event(3)], filtered=0, now_ms=START_MS)
    added += await spool.add(both, filtered=0, now_ms=START_MS)
    assert (added, spool.tally.duplicates) == (3, 0)
    rows = await spool.after(0, 10)
    assert [(row.seq, row.event) for row in rows] == [(n, event(n)) for n in (1, 2, 3)]


async def test_the_history_is_complete_until_the_newest_live_event(spool):
    """Only live events move the watermark, and none takes it back."""
    late = msgspec.structs.replace(event(9), source=BACKFILL)
    await spool.add([event(5), late, event(3)], filtered=0, now_ms=START_MS)
    assert spool.tally.complete_until == event(5).time
    await spool.add([event(4)], filtered=0, now_ms=START_MS)
    assert spool.tally.complete_until == event(5).time


async def test_the_watermark_is_that_of_live_events_after_a_restart_too(path):
    """What history or a snapshot gave does not count as captured live, whenever it is asked."""
    late = msgspec.structs.replace(event(9), source=BACKFILL)
    async with open_spool(path) as spool:
        await spool.add([event(5), late], filtered=0, now_ms=START_MS)
    async with open_spool(path) as spool:
        assert spool.tally.complete_until == event(5).time


async def test_a_snapshot_brings_only_news(spool):
    """A state that was spooled live is dropped, even after its row was deleted; a newer is news."""
    await add(spool, 1, 2, 3)
    same = msgspec.structs.replace(event(3), source=SNAPSHOT)
    newer = msgspec.structs.replace(event(8), source=SNAPSHOT)
    assert await spool.add([same], filtered=0, now_ms=START_MS) == 0
    await add(spool, 7)
    assert await spool.trim(3, START_MS + 1, NEVER) == 3
    old = msgspec.structs.replace(event(2), source=SNAPSHOT)
    assert await spool.add([same, old], filtered=0, now_ms=START_MS) == 0
    assert await spool.add([newer], filtered=0, now_ms=START_MS) == 1
    assert spool.tally.duplicates == 3


async def test_only_sent_rows_are_deleted(spool, monkeypatch):
    """However old or large: what was not sent stays, and so does the last batch."""
    monkeypatch.setattr(rows_module, "IN_ONE_BATCH", 3)
    await add(spool, *range(1, 11))
    assert await spool.trim(0, START_MS + 1, NEVER) == 0
    assert await spool.trim(7, START_MS + 1, NEVER) == 6
    assert standing(spool) == [7, 8, 9, 10]
    assert await spool.trim(8, START_MS + 1, NEVER) == 0
    assert await spool.trim(8, START_MS + 1, 0) == 0
    assert await spool.trim(10, START_MS + 1, 0) == 9
    assert standing(spool) == [10]
    await add(spool, 11)
    assert standing(spool) == [10, 11]


async def test_young_rows_stay_until_the_file_is_too_large(spool, monkeypatch):
    """Rows within the retention go only when the file is larger than it may be: oldest first."""
    monkeypatch.setattr(spool_module, "DELETED_AT_ONCE", 3)
    monkeypatch.setattr(rows_module, "IN_ONE_BATCH", 2)
    await spool.add(
        [event(n, data=b'"' + b"x" * 20_000 + b'"') for n in range(1, 21)],
        filtered=0,
        now_ms=START_MS,
    )
    assert await spool.trim(20, START_MS, NEVER) == 0
    assert len(standing(spool)) == 20
    gone = await spool.trim(20, START_MS, 300_000)
    assert 5 <= gone < 15
    assert standing(spool) == list(range(gone + 1, 21))


async def test_an_empty_spool_has_nothing_to_delete(spool):
    """Trimming what is empty does nothing."""
    assert await spool.trim(0, START_MS, 0) == 0
    assert await spool.after(0, 10) == []


async def test_rows_beyond_the_memory_come_from_the_disk(path, monkeypatch):
    """A sender that lags behind gets every row all the same, in order."""
    monkeypatch.setattr(fresh_module, "IN_MEMORY", 5)
    async with open_spool(path) as spool:
        for start in range(1, 31, 3):
            await add(spool, start, start + 1, start + 2)
        seen = []
        while rows := await spool.after(len(seen), 4):
            assert len(rows) <= 4
            seen += rows
        assert [row.seq for row in seen] == list(range(1, 31))
        assert [row.event for row in seen] == events(*range(1, 31))


async def test_a_sender_is_woken_by_what_is_added(spool):
    """`more` returns when something came since the last `after`, and waits otherwise."""
    await spool.after(0, 10)
    waiting = asyncio.create_task(spool.more())
    await asyncio.sleep(0)
    assert not waiting.done()
    await add(spool, 1)
    async with asyncio.timeout(10):
        await waiting
        await spool.more()


async def test_rows_are_known_by_their_entry_id(spool):
    """A row is found by time and number; ids between rows give the number that follows."""
    await add(spool, 1, 2, 3)
    await add(spool, 4, now_ms=START_MS + 9)
    assert spool.rows.holds(START_MS, 2)
    assert not spool.rows.holds(START_MS + 1, 2)
    assert not spool.rows.holds(0, 0)
    for entry_id, numbers in {
        (0, 0): range(1, 5),
        (START_MS, 2): range(2, 5),
        (START_MS + 1, 0): range(4, 5),
        (START_MS + 9, 5): range(5, 5),
    }.items():
        assert spool.rows.numbers_from(*entry_id) == numbers


async def test_the_newest_event_among_numbers_is_no_letter(spool):
    """Letters leave no trace in the stream, so they are passed over."""
    unreadable = letter_row(7)
    await add(spool, 1, 2)
    await spool.add([], [(unreadable.event, unreadable.letter)], filtered=0, now_ms=START_MS)
    rows = await spool.after(0, 9)
    assert spool.rows.newest_event(range(1, 4)) == rows[1]
    assert spool.rows.newest_event(range(1, 2)) == rows[0]
    assert spool.rows.newest_event(range(3, 4)) is None


async def test_ids_that_are_above_a_position_stay(spool):
    """Where nothing is below the position no id changes."""
    await add(spool, 1, 2, 3)
    before = await spool.after(0, 10)
    await spool.lift(2, (START_MS, 2))
    await spool.lift(0, (0, 0))
    assert await spool.after(0, 10) == before


@pytest.mark.parametrize("ahead_ms", [-10, 0, 10_000])
async def test_what_was_not_sent_is_lifted_above_a_stranger(spool, ahead_ms):
    """All rows not sent come after the last entry, in order, and so do those to come."""
    await add(spool, 1, 2)
    await add(spool, 3, now_ms=START_MS + 5)
    foreign = (START_MS + ahead_ms, 999)
    await spool.lift(1, foreign)
    await add(spool, 4)
    ids = [(row.ms, row.seq) for row in await spool.after(0, 10)]
    assert ids[0] == (START_MS, 1)
    assert min(ids[1:]) > foreign
    assert ids == sorted(ids)
    assert [seq for _, seq in ids] == [1, 2, 3, 4]


async def test_what_was_sent_of_a_batch_keeps_its_ids(path):
    """Where a batch was sent in part only the rest of it is lifted, letters and all."""
    unreadable = [(row.event, row.letter) for row in map(letter_row, (7, 8))]
    async with open_spool(path) as spool:
        await spool.add(events(1, 2), unreadable, filtered=0, now_ms=START_MS)
        before = await spool.after(0, 9)
        await spool.lift(3, (START_MS, 500))
        await add(spool, 3)
    async with open_spool(path) as spool:
        rows = await spool.after(0, 9)
    assert [(row.ms, row.seq) for row in rows] == [
        *((START_MS, seq) for seq in (1, 2, 3)),
        *((START_MS + 1, seq) for seq in (4, 5)),
    ]
    assert [row.event for row in rows[:4]] == [row.event for row in before]
    assert [bool(row.letter) for row in rows] == [False, False, True, True, False]


async def test_ids_grow_even_after_the_file_was_restored_from_an_older_copy(spool):
    """Where the stream is ahead of us though it is ours, new rows come after its last entry."""
    await add(spool, 1, 2)
    position = (START_MS + 50, 9)
    await spool.lift(2, position)
    await add(spool, 3, now_ms=START_MS)
    [row] = await spool.after(2, 10)
    assert (row.ms, row.seq) > position


async def test_a_second_ingest_is_refused(path, spool):
    """A spool that is open is not opened again; the message names the setting."""
    with pytest.raises(SpoolInUse, match="INGEST_SPOOL_PATH"):
        async with open_spool(path):
            pass
    await add(spool, 1)


async def test_a_spool_is_free_again_when_it_was_closed(path):
    """Closing lets go of the file and of its lock."""
    for n in (1, 2):
        async with open_spool(path) as spool:
            await add(spool, n)


@pytest.mark.parametrize("kind", ["folder", "file"])
async def test_a_place_where_nothing_can_be_written_is_named(tmp_path, kind):
    """Where the disk refuses, the message says what to check."""
    place = tmp_path / "spool.db"
    if kind == "folder":
        place.mkdir()
    else:
        (tmp_path / "file").write_text("")
        place = tmp_path / "file" / "spool.db"
    with pytest.raises(SpoolUnavailable, match="INGEST_SPOOL_PATH"):
        async with open_spool(place):
            pass


async def fits(spool, batch):
    try:
        return await spool.add(batch, filtered=1, now_ms=START_MS) == len(batch)
    except SpoolUnavailable:
        return False


async def test_a_full_disk_loses_nothing_and_doubles_nothing(path):
    """What a full disk refused is not half there; with space it is added and counted once."""
    big = b'"' + b"x" * 3_000 + b'"'
    batches = [[event(n, data=big) for n in range(i, i + 10)] for i in range(1, 101, 10)]
    async with open_spool(path) as spool:
        (pages,) = spool._disk.writer.execute("PRAGMA page_count").fetchone()
        spool._disk.writer.execute(f"PRAGMA max_page_count = {pages + 40}")
        added = refused = 0
        for batch in batches:
            if not await fits(spool, batch):
                refused += 1
                assert len(await spool.after(0, 1000)) == added
                spool._disk.writer.execute(f"PRAGMA max_page_count = {pages + 10_000}")
                assert await fits(spool, batch)
                (pages,) = spool._disk.writer.execute("PRAGMA page_count").fetchone()
                spool._disk.writer.execute(f"PRAGMA max_page_count = {pages + 20}")
            added += 10
        assert refused > 1
        tally = spool.tally
    assert (tally.filtered, tally.duplicates) == (10, 0)
    async with open_spool(path) as spool:
        assert spool.tally == tally
        rows = await spool.after(0, 1000)
        assert [row.seq for row in rows] == list(range(1, 101))
        assert [row.event for row in rows] == [e for batch in batches for e in batch]


async def test_a_disk_that_refuses_is_told_by_whoever_writes_to_it(path):
    """Whatever writes to the disk says when it cannot."""
    async with open_spool(path) as spool:
        await add(spool, 1, 2)
        await add(spool, 3)
        blocker = sqlite3.connect(path, isolation_level=None)
        spool._disk.writer.execute("PRAGMA busy_timeout = 0")
        blocker.execute("BEGIN IMMEDIATE")
        try:
            for call in (
                spool.lift(0, (START_MS, 9)),
                spool.trim(2, START_MS + 1, NEVER),
                spool.add(events(4), filtered=0, now_ms=START_MS),
            ):
                with pytest.raises(SpoolUnavailable):
                    await call
        finally:
            blocker.execute("ROLLBACK")
            blocker.close()
        assert await add(spool, 4) == 1


async def test_a_cancelled_add_leaves_the_spool_usable(spool):
    """An add that is cancelled while it commits is there whole or not at all."""
    for n in range(1, 40, 2):
        task = asyncio.create_task(add(spool, n, n + 1))
        for _ in range(n % 3 + 1):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    await add(spool, 100)
    rows = on_disk(spool)
    assert [seq for seq, _, _ in rows] == list(range(1, len(rows) + 1))
    times = [event.time for _, _, event in rows]
    for n in range(1, 40, 2):
        assert (event(n).time in times) == (event(n + 1).time in times)


async def test_closing_after_a_cancelled_add_is_in_order(path):
    """A spool that is closed while the disk is still at work waits for it."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.fakes.spool_canceller", path
    )
    async with asyncio.timeout(60):
        assert await child.wait() == 0
    async with open_spool(path) as spool:
        rows = await spool.after(0, 100_000)
    assert [row.seq for row in rows] == list(range(1, len(rows) + 1))
    assert len(rows) % 50 == 0


@pytest.mark.parametrize("seed", range(6))
async def test_what_was_added_survives_a_kill(path, seed):
    """Killed at any moment: all that `add` returned for is there, whole batches, each once."""
    dice = random.Random(seed)  # noqa: S311 - a test that can be repeated
    safe = 0
    for _ in range(3):
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.fakes.spool_writer", path, stdout=subprocess.PIPE
        )
        for _ in range(dice.randint(1, 60)):
            safe = int(await child.stdout.readline())
        for _ in range(dice.randint(0, 300)):
            await asyncio.sleep(0)
        child.kill()
        rest = (await child.stdout.read()).split()
        await child.wait()
        safe = int(rest[-1]) if rest else safe
        async with open_spool(path) as spool:
            rows = await spool.after(0, 1_000_000)
            assert len(rows) >= safe
            assert [row.seq for row in rows] == list(range(1, len(rows) + 1))
            assert [row.event for row in rows] == events(*range(1, len(rows) + 1))
            ids = [(row.ms, row.seq) for row in rows]
            assert ids == sorted(ids)


class SpoolMachine(RuleBasedStateMachine):
    """Adds, reads, trims, follows and reopens, beside a model that keeps it all in lists."""

    folder = None

    @initialize()
    def begin(self):
        self.runner = asyncio.Runner()
        type(self).turn = getattr(type(self), "turn", 0) + 1
        self.path = self.folder / f"{self.turn}.db"
        self.rows = []  # (seq, ms, event) as the spool numbered them
        self.own = set()  # keys of events that need one of their own
        self.gone = 0  # last number that was deleted
        self.position = (0, 0)
        self.sent = 0
        self.filtered = self.duplicates = 0
        self.open()

    def open(self):
        self.stack = AsyncExitStack()
        self.spool = self.run(self.stack.enter_async_context(open_spool(self.path)))

    def run(self, call):
        async def within():
            return await call

        return self.runner.run(within())

    @property
    def standing(self):
        return [row for row in self.rows if row[0] > self.gone]

    @rule(
        numbers=st.lists(
            st.tuples(st.integers(1, 25), st.sampled_from("ab"), st.sampled_from((LIVE, SNAPSHOT))),
            max_size=6,
        ),
        filtered=st.integers(0, 3),
        clock=st.integers(-3, 3),
    )
    def add(self, numbers, filtered, clock):
        """Each event stands once; of snapshots nothing that was ever known comes again."""
        offered = [event(n, f"sensor.{e}", source=source) for n, e, source in numbers]
        known = {(e.time, e.id) for _, _, e in self.standing}
        latest = {}
        for seq, _, e in self.rows:
            if seq <= self.gone:
                latest[e.entity_id] = max(e.time, latest.get(e.entity_id, ""))
        new = []
        for e in offered:
            stale = e.source == SNAPSHOT and e.time <= latest.get(e.entity_id, "")
            if not stale and (e.time, e.id) not in known:
                known.add((e.time, e.id))
                new.append(e)
        newest = max((e.time for _, _, e in self.rows), default="")
        self.own |= set(late_ones([key_of(e) for e in new], newest))
        count = self.run(self.spool.add(offered, filtered=filtered, now_ms=START_MS + clock))
        assert count == len(new)
        self.filtered += filtered
        self.duplicates += len(offered) - len(new)
        added = self.run(self.spool.after(len(self.rows), 100))
        assert [row.event for row in added] == new
        for row in added:
            last = self.rows[-1][:2][::-1] if self.rows else (0, 0)
            assert row.seq == len(self.rows) + 1
            assert (row.ms, row.seq) > max(last, self.position)
            self.rows.append((row.seq, row.ms, row.event))

    @rule(seq=st.integers(0, 30), limit=st.integers(1, 10))
    def after(self, seq, limit):
        """Rows come in order, from memory or from the disk."""
        found = self.run(self.spool.after(seq, limit))
        expected = [row for row in self.standing if row[0] > seq][:limit]
        assert [(row.seq, row.ms, row.event) for row in found][: len(expected)] == expected[
            : len(found)
        ]
        assert bool(found) == bool(expected)

    @precondition(lambda self: self.rows)
    @rule(data=st.data())
    def send(self, data):
        """The stream takes some rows more."""
        self.sent = data.draw(st.integers(self.sent, len(self.rows)))
        if self.sent:
            seq, ms, _ = self.rows[self.sent - 1]
            self.position = max(self.position, (ms, seq))

    @rule(age=st.integers(-3, 4), full=st.booleans())
    def trim(self, age, full):
        """Only rows that were sent go, oldest first, and never the last."""
        gone = self.run(self.spool.trim(self.sent, START_MS + age, 0 if full else NEVER))
        assert gone <= self.sent
        assert gone < max(1, len(self.rows))
        if not full:
            young = [seq for seq, ms, _ in self.standing if ms >= START_MS + age]
            assert not [seq for seq in young if seq <= gone]
        self.gone = max(self.gone, gone)

    @rule(ahead=st.integers(-4, 6))
    def lift(self, ahead):
        """What was not sent comes after a stranger's last entry; what was sent stays."""
        self.position = max(self.position, (START_MS + ahead, 50))
        self.run(self.spool.lift(self.sent, self.position))
        rows = self.run(self.spool.after(self.sent, 1000))
        unsent = [(s, e) for s, _, e in self.standing if s > self.sent]
        assert [(row.seq, row.event) for row in rows] == unsent
        assert all((row.ms, row.seq) > self.position for row in rows)
        moved = {row.seq: row.ms for row in rows}
        self.rows = [(seq, moved.get(seq, ms), e) for seq, ms, e in self.rows]

    @rule()
    def reopen(self):
        """A restart changes nothing; then the stream is looked at, as ingest does."""
        identity = self.spool.identity
        self.run(self.stack.aclose())
        self.open()
        assert self.spool.identity == identity
        self.all_is_there()
        self.lift(-4)

    @invariant()
    def all_is_there(self):
        """Ids grow, numbers are dense, counts are right."""
        rows = on_disk(self.spool)
        assert rows == self.standing
        assert [ms for _, ms, _ in rows] == sorted(ms for _, ms, _ in rows)
        once = "SELECT time, id FROM once ORDER BY time, id"
        standing = {key_of(event) for _, _, event in rows}
        assert self.spool._disk.reader.execute(once).fetchall() == sorted(standing & self.own)
        assert (self.spool.tally.filtered, self.spool.tally.duplicates) == (
            self.filtered,
            self.duplicates,
        )

    def teardown(self):
        if hasattr(self, "stack"):
            self.run(self.stack.aclose())
            self.runner.close()


def test_a_spool_keeps_its_promise_in_any_order(tmp_path):
    """Whatever is added, read, trimmed, followed and reopened: dense, growing, each once."""
    SpoolMachine.folder = tmp_path
    run_state_machine_as_test(
        SpoolMachine,
        settings=settings(
            max_examples=40,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            database=None,
        ),
    )

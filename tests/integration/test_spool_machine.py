"""Spool and stream together: crashes, lost answers and backups of either, in any order."""

import asyncio
import shutil
from collections import Counter
from contextlib import AsyncExitStack

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    rule,
    run_state_machine_as_test,
)

from common.bus import INGEST, Keys, connect
from common.errors import BusUnavailable
from common.heartbeat import Heartbeat
from common.ledger import read_ledger
from ingest.deliver import Delivery
from ingest.spool import open_spool
from tests.fakes.bus import START_MS, event, field_values, letter_row

pytestmark = pytest.mark.integration

KEYS = Keys()
KEPT = (KEYS.raw, KEYS.dead, KEYS.watermark, KEYS.ledger)
MISHAPS = (
    "clock_jumps",
    "flushall",
    "the_stream_is_deleted",
    "the_watermark_is_deleted",
    "the_ledger_is_deleted",
    "a_stranger_writes",
    "everyone_has_read",
    "redis_is_backed_up",
    "redis_is_restored",
    "the_spool_is_backed_up",
    "the_spool_is_restored",
    "the_spool_is_lost",
    "ingest_restarts",
    "ingest_crashes",
)
NEVER = 10**15
"""More bytes than any spool takes."""


class Bent:
    """What happened to a stream: by which of our promises it can still be judged.

    Attributes:
        trimmed: Entries that everyone had read were deleted.
        strange: Somebody else wrote to it, or another spool did.
        uncounted: A key was deleted alone, so that the counters do not balance.
    """

    def __init__(self):
        self.trimmed = self.strange = self.uncounted = False

    def copy(self):
        other = Bent()
        other.__dict__.update(self.__dict__)
        return other


class SpoolAndStream(RuleBasedStateMachine):
    """One ingest beside a model that remembers what was committed and what a reader saw."""

    folder = None
    url = None

    @initialize()
    def begin(self):
        self.runner = asyncio.Runner()
        type(self).turn = getattr(type(self), "turn", 0) + 1
        self.home = self.folder / str(self.turn)
        self.home.mkdir()
        self.files = 0
        self.n = 0
        self.now = START_MS
        self.committed = {}  # event id → its number, of all that this spool's line has committed
        self.seen = set()  # event ids that somebody read from the stream or the dead letters
        self.bent = Bent()
        self.forked = False  # the spool was a backup, or another one
        self.redis_backup = None
        self.spool_backup = None
        self.links = AsyncExitStack()
        self.bus = self.run(self.links.enter_async_context(connect(self.url)))
        self.run(self.bus.command("FLUSHALL"))
        self.open(self.home / "0.db")

    def run(self, call):
        async def within():
            return await call

        return self.runner.run(within())

    def open(self, path):
        self.path = path
        self.stack = AsyncExitStack()
        self.spool = self.run(self.stack.enter_async_context(open_spool(path)))
        heartbeat = Heartbeat(self.bus, INGEST, "me", {"spool": self.spool.identity})
        self.delivery = Delivery(self.spool, self.bus, heartbeat)
        self.connected = False

    def copied(self, path):
        """What stands on the disk now, and nothing that a process has in memory."""
        self.files += 1
        copy = self.home / f"{self.files}.db"
        for ending in ("", "-wal"):
            if path.with_name(path.name + ending).exists():
                shutil.copy(f"{path}{ending}", f"{copy}{ending}")
        return copy

    @rule(count=st.integers(1, 4), letter=st.booleans(), again=st.booleans())
    def add(self, count, letter, again):
        """Events come; some came before, one cannot be read, one is left out by a rule."""
        came = [event(self.n + i) for i in range(1, count + 1)]
        self.n += count
        letters = []
        if letter:
            self.n += 1
            row = letter_row(self.n)
            letters.append((row.event, row.letter))
        old = [event(n) for n in list(self.committed.values())[-1:] if again]
        self.run(self.spool.add(came + old, letters, filtered=1, now_ms=self.now))
        self.committed |= {e.id: int(e.time[-12:-6]) for e in came}
        self.committed |= {e.id: int(e.time[-12:-6]) for e, _ in letters}
        self.now += 3

    @rule(limit=st.integers(1, 6), heard=st.booleans())
    def send(self, limit, heard):
        """Some rows go to the stream; the answer may get lost."""
        self.run(self.send_some(limit, heard=heard))

    async def send_some(self, limit, *, heard=True):
        for _ in range(3):
            try:
                if not self.connected:
                    self.delivery._sent = await self.delivery._resume()
                    self.connected = True
                rows = await self.spool.after(self.delivery._sent, limit)
                await self.delivery._raw.append(rows, self.spool.tally)
            except BusUnavailable:
                self.connected = False
                continue
            if heard and rows:
                self.delivery._sent = rows[-1].seq
            self.connected = heard
            await self.read()
            return len(rows)
        raise AssertionError("the stream cannot be resumed")

    async def read(self):
        """A reader that is never behind."""
        for stream in (KEYS.raw, KEYS.dead):
            self.seen |= set(await field_values(self.bus, stream, "id"))

    @rule(what=st.sampled_from(MISHAPS), by=st.sampled_from((-60_000, -5, 1, 5, 4_000_000_000)))
    def a_mishap(self, what, by):
        """One of the things that go wrong."""
        getattr(self, what)(by)

    def clock_jumps(self, by):
        self.now += by

    def flushall(self, _by):
        self.run(self.bus.command("FLUSHALL"))
        self.bent = Bent()

    def the_stream_is_deleted(self, _by):
        self.run(self.bus.command("DEL", KEYS.raw))
        self.bent.uncounted = True

    def the_watermark_is_deleted(self, _by):
        self.run(self.bus.command("DEL", KEYS.watermark))
        self.bent.uncounted = True

    def the_ledger_is_deleted(self, _by):
        self.run(self.bus.command("DEL", KEYS.ledger))
        self.bent.uncounted = True

    def a_stranger_writes(self, by):
        position = self.run(self.delivery._raw.position())
        entry_id = f"{max(self.now + by, position[0] + 1)}-0"
        self.run(self.bus.command("XADD", KEYS.raw, entry_id, "id", "strange"))
        self.bent.strange = self.bent.uncounted = True

    def everyone_has_read(self, _by):
        self.run(self.bus.command("XTRIM", KEYS.raw, "MAXLEN", 0))
        self.bent.trimmed = self.bent.uncounted = True

    def redis_is_backed_up(self, _by):
        dumps = {key: self.run(self.bus.command("DUMP", key)) for key in KEPT}
        self.redis_backup = (dumps, self.bent.copy())

    def redis_is_restored(self, _by):
        """From a backup, or without its tail."""
        dumps, bent = self.redis_backup or ({}, self.bent)
        for key, dump in dumps.items():
            self.run(self.bus.command("DEL", key))
            if dump:
                self.run(self.bus.command("RESTORE", key, 0, dump))
        self.bent = bent.copy()
        self.bent.strange |= self.forked

    def the_spool_is_backed_up(self, _by):
        self.spool_backup = (self.copied(self.path), dict(self.committed))

    def the_spool_is_restored(self, _by):
        """What was committed since is lost, where it was not sent."""
        if self.spool_backup:
            backup, committed = self.spool_backup
            self.run(self.stack.aclose())
            self.open(self.copied(backup))
            self.committed = dict(committed)
            self.forked = True

    def the_spool_is_lost(self, _by):
        self.run(self.stack.aclose())
        self.files += 1
        self.open(self.home / f"{self.files}.db")
        self.committed = {}
        self.forked = True

    def ingest_restarts(self, _by):
        self.run(self.stack.aclose())
        self.open(self.path)

    def ingest_crashes(self, _by):
        """What was not committed is gone, and nothing else."""
        self.spool._disk.writer.execute("BEGIN IMMEDIATE")
        self.spool.rows.insert([(event(self.n + 500_000), [])], self.now)
        copy = self.copied(self.path)
        self.spool._disk.writer.execute("ROLLBACK")
        self.run(self.stack.aclose())
        self.open(copy)

    @rule(age=st.integers(-100, 100), full=st.booleans())
    def trim(self, age, full):
        """Rows that were sent leave the spool."""
        sent = self.delivery._sent
        self.run(self.spool.trim(sent, self.now + age, 0 if full else NEVER))

    @rule()
    def settle(self):
        """All that was committed was seen; the stream has each once and in order; it balances."""
        while self.run(self.send_some(100)):
            pass
        missing = self.committed.keys() - self.seen
        assert not missing, sorted(self.committed[one] for one in missing)
        there = self.run(field_values(self.bus, KEYS.raw, "id"))
        if not (self.bent.trimmed or self.bent.strange):
            doubles = [one for one, times in Counter(there).items() if times > 1]
            assert not doubles, [self.committed.get(one) for one in doubles]
        if not (self.bent.trimmed or self.bent.strange or self.forked):
            numbers = [self.committed[one] for one in there if one in self.committed]
            assert numbers == sorted(numbers)
        if not self.bent.uncounted:
            ledger = self.run(read_ledger(self.bus))
            assert ledger.unaccounted == 0, ledger

    def teardown(self):
        if hasattr(self, "stack"):
            try:
                self.settle()
            finally:
                self.run(self.stack.aclose())
                self.run(self.links.aclose())
                self.runner.close()


def test_whatever_happens_all_that_was_committed_is_sent(tmp_path, redis_url):
    """In any order of crashes, jumps of the clock, lost answers, and backups: nothing is lost."""
    SpoolAndStream.folder = tmp_path
    SpoolAndStream.url = redis_url
    run_state_machine_as_test(
        SpoolAndStream,
        settings=settings(
            max_examples=80,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            database=None,
        ),
    )

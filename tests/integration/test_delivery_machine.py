"""Deliveries and dead letters on a real Redis, in any order, beside a model of where events are."""

import asyncio
from collections import Counter
from contextlib import AsyncExitStack

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from common.bus import ENRICH, STORE, DeadLetters, Filter, Keys, RawStream, Streams, Tally, connect
from common.bus import consumer as consumer_module
from common.bus import left_behind as left_behind_module
from common.bus.trim import trim
from common.errors import PointRejected, StepFailed
from common.event import Event
from common.ledger import reconcile
from common.lifecycle import patiently
from tests.fakes.bus import SPOOL, consumer, event, rows
from tests.fakes.lossy_proxy import LossyProxy
from tests.fakes.redis_server import RedisServer

pytestmark = pytest.mark.integration

KEYS = Keys()
INPUTS = {ENRICH: (KEYS.raw, KEYS.inbox), STORE: (KEYS.enriched,)}
NAMES = ("a", "b")
WORKERS = st.tuples(st.sampled_from((ENRICH, STORE)), st.sampled_from(NAMES))
FATES = st.lists(st.booleans(), min_size=4, max_size=4)


class Worker:
    """A process of one stage, as far as the bus sees it: it reads a batch, and settles it."""

    def __init__(self, bus, group, name):
        self.group = group
        self.stop = asyncio.Event()
        self.reader = consumer(bus, group, name, batch_size=4, max_deaths=2)
        self.batches = self.reader.batches(self.stop)
        self.held = None

    async def read(self):
        """Hold the next batch; None when none comes."""
        following = asyncio.create_task(anext(self.batches, None))
        await asyncio.wait({following}, timeout=0.05)
        if not following.done():
            self.stop.set()
        self.held = await following

    async def settle(self, is_good):
        """Forward, or acknowledge, what is good; bury the rest. Return the ids that stand."""
        held, self.held = self.held, None
        stop = asyncio.Event()
        good = [is_good[i % 4] and isinstance(d.event, Event) for i, d in enumerate(held)]
        if self.group == ENRICH:
            outcomes = [d.event if g else StepFailed("no") for d, g in zip(held, good, strict=True)]
            await self.reader.forward(held, outcomes, KEYS.enriched, stop)
            return set()
        refusals = {i: PointRejected("no") for i, g in enumerate(good) if not g}
        await self.reader.settle(held, refusals, stop)
        return {d.event.id for d, g in zip(held, good, strict=True) if g}


class DeliveryMachine(RuleBasedStateMachine):
    """Workers without heartbeats: each takes the other for dead, so that both hold one entry."""

    server = None

    @initialize()
    def begin(self):
        assert self.server.ask("FLUSHALL") == "+OK"
        self.runner = asyncio.Runner()
        self.stack = AsyncExitStack()
        self.proxy = self.run(self.stack.enter_async_context(LossyProxy(self.server.url)))
        self.far = self.run(self.stack.enter_async_context(connect(self.proxy.url)))
        self.bus = self.run(self.stack.enter_async_context(connect(self.server.url)))
        self.workers = {}
        self.captured = []
        self.in_sink = set()
        self.purged = set()

    def run(self, call):
        async def within():
            return await call

        return self.runner.run(within())

    def worker(self, who):
        if who not in self.workers:
            self.workers[who] = Worker(self.far, *who)
        return self.workers[who]

    @rule(count=st.integers(1, 5))
    def capture(self, count):
        """Ingest appends."""

        async def append():
            raw = RawStream(self.bus, SPOOL)
            _, last = await raw.own()
            await raw.append(rows(last + 1, last + count), Tally())
            return [event(n).id for n in range(last + 1, last + count + 1)]

        self.captured += self.run(append())

    @rule()
    def hand_in(self):
        """A person injects an event."""
        new = event(10_000 + len(self.captured))
        self.run(Streams(self.bus).inject(new))
        self.captured.append(new.id)

    @rule(who=WORKERS)
    def read(self, who):
        """A worker reads, or takes over what another left behind."""
        worker = self.worker(who)
        if worker.held is None and not worker.stop.is_set():
            self.run(worker.read())
        if worker.held is None:
            self.end(who)

    @rule(who=WORKERS, fates=FATES, is_answer_lost=st.booleans())
    def settle(self, who, fates, is_answer_lost):
        """A worker settles its batch, also one that another has taken over meanwhile."""
        self.read(who)
        if who not in self.workers:
            return
        worker = self.workers[who]
        self.proxy.lose_answer_to = b"EVALSHA" if is_answer_lost else b""
        self.in_sink |= self.run(worker.settle(fates))
        self.proxy.lose_answer_to = b""

    @rule(who=WORKERS)
    def die(self, who):
        """A worker is killed with what it holds."""
        self.end(who)

    @rule(who=WORKERS)
    def crash_again_and_again(self, who):
        """A worker dies of what it reads until that is buried."""
        self.end(who)
        for _ in range(4):
            self.read(who)
            self.end(who)

    @rule(who=WORKERS)
    def stop(self, who):
        """A worker is stopped in order."""
        if who in self.workers:
            self.run(self.workers[who].reader.release())
            self.end(who)

    def end(self, who):
        worker = self.workers.pop(who, None)
        if worker:
            self.run(worker.batches.aclose())

    @rule()
    def kill_redis(self):
        """Redis is killed and started again: with AOF nothing is forgotten."""
        self.server.kill()
        self.server.start()
        for bus in (self.bus, self.far):
            self.run(patiently(bus.ping, asyncio.Event(), "Redis"))

    @precondition(lambda self: self.letters())
    @rule(data=st.data(), is_purged=st.booleans())
    def see_to_a_letter(self, data, is_purged):
        """A person replays or purges a letter."""
        letter = data.draw(st.sampled_from(self.letters()))
        letters = DeadLetters(self.bus)
        if is_purged:
            assert self.run(letters.purge([letter.id])) == 1
            self.purged.add(letter.fields["id"])
        else:
            self.run(letters.replay(letter.id))

    def letters(self):
        return self.run(DeadLetters(self.bus).page(Filter(), 1000))

    @rule()
    def trim(self):
        """What everyone has acknowledged goes."""
        for stream in (KEYS.raw, KEYS.inbox, KEYS.enriched):
            self.run(trim(self.bus, stream, 0.0))

    @invariant()
    def each_event_is_in_one_place(self):
        """In flight, dead or purged, and else in the sink; and the ledger says the same."""
        if not hasattr(self, "bus"):
            return
        in_flight = self.run(self.in_flight())
        dead = Counter(letter.fields["id"] for letter in self.letters())
        places = in_flight + dead + Counter(self.purged)
        assert not [one for one, count in places.items() if count > 1]
        stored = set(self.captured) - set(places)
        assert stored <= self.in_sink
        ledger = self.run(reconcile(self.bus))
        assert (ledger.unaccounted, ledger.lost, ledger.redelivered) == (0, 0, 0), ledger
        assert (ledger.captured, ledger.in_flight) == (len(self.captured), in_flight.total())
        assert (ledger.dead, ledger.purged) == (dead.total(), len(self.purged))
        assert ledger.stored == len(stored)

    async def in_flight(self):
        found = Counter()
        for group, streams in INPUTS.items():
            for stream in streams:
                if not await self.bus.command("EXISTS", stream):
                    continue
                groups = await self.bus.command("XINFO GROUPS", stream)
                [last] = [
                    g["last-delivered-id"] for g in groups if g["name"] == group.encode()
                ] or [b"0-0"]
                entries = await self.bus.command("XRANGE", stream, b"(" + last, "+")
                if groups:
                    held = await self.bus.command("XPENDING", stream, group, "-", "+", 1000)
                    for entry_id, *_ in held:
                        entries += await self.bus.command("XRANGE", stream, entry_id, entry_id)
                found.update(fields[b"id"].decode() for _, fields in entries)
        return found

    def teardown(self):
        if hasattr(self, "bus"):
            for who in list(self.workers):
                self.end(who)
            self.run(self.stack.aclose())
            self.runner.close()


def test_each_event_ends_in_one_place_in_any_order(tmp_path, monkeypatch):
    """Whatever is read, settled, killed, taken over, replayed, purged and trimmed: none is lost."""
    monkeypatch.setattr(consumer_module, "BLOCK_MS", 1)
    monkeypatch.setattr(consumer_module, "EMPTY_READ_S", 0.001)
    monkeypatch.setattr(consumer_module, "LOOK_FOR_ABANDONED_S", 0.0)
    monkeypatch.setattr(left_behind_module, "ABANDONED_AFTER_S", 0.0)
    options = {"appendonly": "yes", "appendfsync": "always", "stream_node_max_entries": "1"}
    with RedisServer(tmp_path, **options) as server:
        DeliveryMachine.server = server
        run_state_machine_as_test(
            DeliveryMachine,
            settings=settings(
                max_examples=10,
                stateful_step_count=30,
                deadline=None,
                phases=[Phase.generate],  # to shrink a failure would take minutes
                suppress_health_check=list(HealthCheck),
                database=None,
            ),
        )

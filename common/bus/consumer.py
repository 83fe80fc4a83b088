"""A consumer of a group: hands out batches, and settles what became of them."""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Final

import redis.exceptions as redis_errors

from common.bus.connection import Bus
from common.bus.delivery import Delivery, delivery
from common.bus.entry import Field, Shared, fields_of, shared_of, values_of
from common.bus.left_behind import LeftBehind
from common.bus.letter import Burial, letter
from common.bus.server import OLDEST_REDIS
from common.errors import BusUnavailable, DeliveredTooOften, PoisonError
from common.event import Event, time_of
from common.lifecycle import Stopped, patiently, pause
from common.logs import logger
from common.pace import gather_s

BLOCK_MS: Final = 1000
"""Longest wait of one read; a stop is noticed within it."""

EMPTY_READ_S: Final = 0.02
"""Pause after an empty read: fakeredis never blocks and would starve the event loop."""

LOOK_FOR_ABANDONED_S: Final = 10.0
"""Seconds between two looks for entries of workers that are gone."""

RELEASE_S: Final = 2.0
"""Longest time to give back what is in hand; what is not given back counts one death more."""

MOVED_AT_ONCE: Final = 1000
"""Most entries in one script: Redis serves nobody else while it runs, some 10 ms for so many.

With half as many each event costs the workers a twentieth more.
"""

log = logger(__name__)


class Consumer:
    """Reads streams as one consumer of a group; what it hands out must be settled.

    Args:
        bus: Where the streams are.
        group: Consumer group, also the stage that a dead letter names.
        name: Name of this consumer; the same again after a restart.
        batch_size: Most entries of one batch from each stream.
        pause_s: Shortest time between the starts of two batches that are not full, in which
            the next one gathers; longer when they come thick. An entry that comes to an idle
            consumer does not wait.
        max_deaths: Process deaths after which an entry is buried.
        idle_s: Seconds without an entry after which `batches` gives an empty batch.
    """

    def __init__(  # noqa: PLR0913 - each is one knob that the worker's settings have
        self,
        bus: Bus,
        group: str,
        name: str,
        *,
        batch_size: int = 1000,
        pause_s: float = 0.0,
        max_deaths: int = 3,
        idle_s: float = math.inf,
    ) -> None:
        self._bus = bus
        self._streams = bus.keys.group_inputs(group)
        self._group = group
        self._name = name
        self._batch_size = batch_size
        self._pause_s = pause_s
        self._max_deaths = max_deaths
        self._idle_s = idle_s
        self._left_behind = LeftBehind(bus, group, name)
        self._held: list[Delivery] = []

    async def batches(self, stop: asyncio.Event) -> AsyncIterator[list[Delivery]]:
        """Yield batches until `stop` is set; waits by itself while Redis is away.

        What a former process of this name, or a worker that is gone, left behind comes first,
        suspects one at a time. Each batch must be settled before the next is asked for, which
        empties it: its memory is what the next one is read into, while it is in the cache.
        An empty batch says that nothing has come for `idle_s`; there is nothing to settle.

        Raises:
            Stopped: When `stop` is set while Redis is away.
        """
        await patiently(self._make_groups, stop, "Redis")
        async for batch in self._deliveries(stop):
            if batch and batch[0].deaths >= self._max_deaths:
                await self._bury_killer(batch, stop)
                continue
            self._held = batch
            yield batch
            self._held = []
            batch.clear()

    async def forward(
        self,
        batch: Sequence[Delivery],
        outcomes: Sequence[Event | PoisonError],
        target: str,
        stop: asyncio.Event,
        *,
        overfill: bool = False,
    ) -> None:
        """Append each outcome to `target`, or bury it, and acknowledge its delivery.

        Appending, acknowledging and counting are one script; it can be repeated.

        Args:
            batch: What `batches` gave.
            outcomes: For each delivery the event it became, or the cause of its death.
            target: Key of the next stream.
            stop: Ends the waiting for Redis.
            overfill: Append also when Redis is full.

        Raises:
            Stopped: When `stop` is set while Redis is away.
        """
        pairs = list(zip(batch, outcomes, strict=True))
        for stream in self._streams:
            moves = [pair for pair in pairs if pair[0].stream == stream]
            for start in range(0, len(moves), MOVED_AT_ONCE):
                some = moves[start : start + MOVED_AT_ONCE]
                move = partial(self._move, stream, target, some, overfill=overfill)
                await patiently(move, stop, "Redis")

    async def settle(
        self,
        batch: Sequence[Delivery],
        refusals: Mapping[int, PoisonError],
        stop: asyncio.Event,
    ) -> None:
        """Acknowledge what stands in the sink, and bury what it refused.

        Args:
            batch: What `batches` gave.
            refusals: Position in the batch → cause of its death.
            stop: Ends the waiting for Redis.

        Raises:
            Stopped: When `stop` is set while Redis is away.
        """
        stored = [d.entry_id for i, d in enumerate(batch) if i not in refusals]
        if stored:
            keys = (batch[0].stream, self._bus.keys.ledger)
            acknowledge = partial(self._bus.run, "acknowledge", keys, self._group, "stored")
            ours = await patiently(partial(acknowledge, many=stored), stop, "Redis")
            if strange := len(stored) - ours:
                log.warning("Wrote entries again that another worker took", count=strange)
        if refusals:
            dead = [batch[i] for i in refusals]
            await self.forward(dead, list(refusals.values()), self._bus.keys.dead, stop)

    @asynccontextmanager
    async def releasing(self) -> AsyncIterator[None]:
        """Around the loop: when it is stopped, `release` what is in hand.

        When it fails nothing is released: then the entries are suspects.
        """
        try:
            yield
        except (Stopped, asyncio.CancelledError):
            with suppress(BusUnavailable, TimeoutError):
                async with asyncio.timeout(RELEASE_S):
                    await self.release()
            raise

    async def release(self) -> None:
        """Give the batch in hand back as if it had not been delivered: we stop, we do not die.

        Raises:
            BusUnavailable: When Redis is away; then each entry counts one death too many.
        """
        held, self._held = self._held, []
        for deaths in {d.deaths for d in held}:
            for stream in self._streams:
                ids = [d.entry_id for d in held if d.stream == stream and d.deaths == deaths]
                if ids:
                    await self._left_behind.give_back(stream, ids, deaths)
        if self._left_behind.answer_lost:
            for stream in self._streams:
                await self._left_behind.give_back_unheard(stream)

    async def _make_groups(self) -> None:
        """Create the consumer group on each stream, at its very beginning."""
        for stream in self._streams:
            await self._bus.run("make_group", (stream,), self._group, *OLDEST_REDIS)

    async def _read(self) -> list[Delivery]:
        try:
            reply = await self._bus.command(
                *("XREADGROUP", "GROUP", self._group, self._name),
                *("COUNT", self._batch_size, "BLOCK", BLOCK_MS),
                *("STREAMS", *self._streams, *(">" for _ in self._streams)),
            )
        except BusUnavailable:
            # What was delivered in the answer that never came is pending for us now.
            self._left_behind.answer_lost = True
            raise
        except redis_errors.ResponseError as error:
            if "NOGROUP" not in str(error):
                raise
            log.warning("The consumer group is gone: it starts again at the first entry")
            await self._make_groups()
            return []
        if not reply:
            await asyncio.sleep(EMPTY_READ_S)
            return []
        return [
            delivery(name, entry_id, flat)
            for stream, entries in reply
            for name in [stream.decode()]
            for entry_id, flat in entries
        ]

    async def _deliveries(self, stop: asyncio.Event) -> AsyncIterator[list[Delivery]]:
        """What was left behind, then what is new; suspects stand alone in their batch."""
        async for batch in self._of_mine(stop, died=True):
            yield batch
        look_again = 0.0
        idle_at = time.monotonic() + self._idle_s
        while not stop.is_set():
            started = time.monotonic()
            # Nothing is in hand here, so what is pending for us we never heard of: an answer was
            # lost, or Redis came back older than it was and has forgotten what we settled.
            if self._left_behind.answer_lost or started >= look_again:
                self._left_behind.answer_lost = False
                async for batch in self._of_mine(stop, died=False):
                    yield batch
            if started >= look_again:
                look_again = started + LOOK_FOR_ABANDONED_S
                async for batch in self._of_those_gone(stop):
                    yield batch
            if batch := await patiently(self._read, stop, "Redis"):
                came = len(batch)
                yield batch
                if came < self._batch_size:
                    due = started + gather_s(self._pause_s, came)
                    await pause(stop, due - time.monotonic())
                idle_at = time.monotonic() + self._idle_s
            elif time.monotonic() >= idle_at:
                yield batch
                idle_at = time.monotonic() + self._idle_s

    async def _of_mine(self, stop: asyncio.Event, *, died: bool) -> AsyncIterator[list[Delivery]]:
        for stream in self._streams:
            async for batch in self._left_behind.of(self._name, stream, stop, died=died):
                yield batch

    async def _of_those_gone(self, stop: asyncio.Event) -> AsyncIterator[list[Delivery]]:
        for stream in self._streams:
            for consumer in await self._left_behind.consumers_that_are_gone(stream, stop):
                log.warning("Taking over the entries of a worker that is gone", worker=consumer)
                async for batch in self._left_behind.of(consumer, stream, stop, died=True):
                    yield batch

    async def _bury_killer(self, batch: list[Delivery], stop: asyncio.Event) -> None:
        deaths = batch[0].deaths
        cause = DeliveredTooOften(
            f"{deaths} processes died while they held this entry", {"deaths": deaths}
        )
        await self.forward(batch, [cause] * len(batch), self._bus.keys.dead, stop)

    async def _move(
        self,
        stream: str,
        target: str,
        pairs: Sequence[tuple[Delivery, Event | PoisonError]],
        *,
        overfill: bool,
    ) -> None:
        at = time_of(time.time_ns() // 1000)
        args: list[Field] = []
        said: Shared | None = None
        for held, outcome in pairs:
            if isinstance(outcome, PoisonError):
                flat = letter(held.flat, outcome, self._burial(held, at))
                args += (b"dead", held.entry_id, len(flat), *flat)
            elif outcome.replays:
                flat = fields_of(outcome)
                args += (b"next", held.entry_id, len(flat), *flat)
            else:
                if (shared := shared_of(outcome)) != said:
                    said = shared
                    args += (b"shared", *shared)
                args += (held.entry_id, *values_of(outcome))
        first, last = pairs[0][0].entry_id, pairs[-1][0].entry_id  # in the stream's order
        keys = (stream, target, self._bus.keys.dead, self._bus.keys.ledger)
        # Burying goes on when Redis is full: or one bad point would keep `store` from draining.
        overfill = overfill or all(isinstance(outcome, PoisonError) for _, outcome in pairs)
        _, buried, strange = await self._bus.run(
            *("overfill" if overfill else "move", keys),
            *(self._group, self._name, first, last, len(pairs)),
            many=args,
        )
        if buried:
            reasons = {o.reason for _, o in pairs if isinstance(o, PoisonError)}
            log.warning("Buried events", count=buried, reasons=sorted(reasons), stage=self._group)
        if strange:
            log.warning("Left entries alone that another worker took", count=strange)

    def _burial(self, held: Delivery, at: str) -> Burial:
        return Burial(
            stage=self._group,
            origin=held.stream,
            origin_id=held.entry_id.decode(),
            deliveries=held.deaths + 1,
            worker=self._name,
            at=at,
        )

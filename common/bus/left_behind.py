"""Entries that were delivered before and never settled: taken over, suspects one at a time."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from typing import Any, Final

import redis.exceptions as redis_errors

from common.bus.connection import Bus
from common.bus.delivery import Delivery, delivery
from common.errors import BusUnavailable
from common.lifecycle import patiently
from common.logs import logger

ABANDONED_AFTER_S: Final = 30.0
"""Seconds that an entry lies idle, its consumer without heartbeat, until another claims it."""

ROWS_AT_ONCE: Final = 200
"""Most pending entries looked at, and innocent ones taken over, in one go."""

log = logger(__name__)


class LeftBehind:
    """What stands pending in a group for one consumer or for those that are gone.

    Args:
        bus: Where the streams are.
        group: Consumer group.
        name: The consumer that takes over.

    Attributes:
        answer_lost: Entries may stand pending for us of which we never heard.
    """

    def __init__(self, bus: Bus, group: str, name: str) -> None:
        self._bus = bus
        self._group = group
        self._name = name
        self.answer_lost = False

    async def of(
        self, consumer: str, stream: str, stop: asyncio.Event, *, died: bool
    ) -> AsyncIterator[list[Delivery]]:
        """Take over what is pending for a consumer: innocents together, suspects alone.

        A suspect is an entry that a process may have died of. Claiming it raises its delivery
        count where Redis keeps it for good; reading it again with XREADGROUP would not.

        Args:
            consumer: Name of the consumer that holds them.
            stream: Key of the stream.
            stop: Ends the taking over.
            died: Whether the process that held them died; where only an answer was lost, or
                the process stopped in order, nobody is suspected anew.

        Raises:
            Stopped: When `stop` is set while Redis is away.
        """

        async def take(ids: list[bytes], count: int) -> list[Delivery]:
            return await patiently(partial(self._take, stream, consumer, ids, count), stop, "Redis")

        start = "-"
        while not stop.is_set():
            ask = partial(self._pending, stream, consumer, start)
            rows = await patiently(ask, stop, "Redis")
            if not rows:
                return
            counts = {entry_id: times + died for entry_id, times in rows}
            innocent = [entry_id for entry_id, count in counts.items() if count <= 1]
            if innocent and (batch := await take(innocent, 1)):
                yield batch
            for entry_id, count in counts.items():
                if stop.is_set():
                    return
                if count > 1 and (batch := await take([entry_id], count)):
                    yield batch
            start = f"({rows[-1][0].decode()}"

    async def give_back(self, stream: str, ids: list[bytes], count: int) -> None:
        """Set the delivery count of entries that we hold.

        Raises:
            BusUnavailable: When Redis does not answer.
        """
        claim = ("XCLAIM", stream, self._group, self._name, 0, *ids)
        await self._ask(*claim, "RETRYCOUNT", count, "JUSTID")

    async def give_back_unheard(self, stream: str) -> None:
        """Give back what was delivered in an answer that never came.

        Raises:
            BusUnavailable: When Redis does not answer.
        """
        start = "-"
        while rows := await self._pending(stream, self._name, start):
            unheard = [entry_id for entry_id, times in rows if times == 1]
            if unheard:
                await self.give_back(stream, unheard, 0)
            start = f"({rows[-1][0].decode()}"

    async def consumers_that_are_gone(self, stream: str, stop: asyncio.Event) -> list[str]:
        """Return other consumers that hold entries of a stream and have no heartbeat.

        Raises:
            Stopped: When `stop` is set while Redis is away.
        """
        return await patiently(partial(self._gone, stream), stop, "Redis")

    async def _gone(self, stream: str) -> list[str]:
        summary = await self._ask("XPENDING", stream, self._group)
        holders = {name.decode() for name, _ in (summary and summary[3]) or ()} - {self._name}
        return [
            consumer
            for consumer in sorted(holders)
            if not await self._bus.command("EXISTS", self._bus.keys.worker(self._group, consumer))
        ]

    async def _pending(self, stream: str, consumer: str, start: str) -> list[tuple[bytes, int]]:
        """(entry id, times delivered) of the next entries pending for a consumer."""
        idle = ("IDLE", self._min_idle_ms(consumer)) if consumer != self._name else ()
        rows = await self._ask(
            *("XPENDING", stream, self._group, *idle, start, "+", ROWS_AT_ONCE, consumer)
        )
        return [(entry_id, times) for entry_id, _, _, times in rows]

    async def _take(
        self, stream: str, consumer: str, ids: list[bytes], count: int
    ) -> list[Delivery]:
        """Become their owner, their delivery count set; those settled meanwhile are left out."""
        found = await self._bus.commands(*(("XRANGE", stream, i, i) for i in ids))
        ghosts = [entry_id for entry_id, entries in zip(ids, found, strict=True) if not entries]
        if ghosts:
            await self._count_lost(stream, ghosts)
            ids = [entry_id for entry_id in ids if entry_id not in ghosts]
        if not ids:
            return []
        try:
            claimed = await self._ask(
                *("XCLAIM", stream, self._group, self._name, self._min_idle_ms(consumer)),
                *(*ids, "RETRYCOUNT", count),
            )
        except BusUnavailable:
            self.answer_lost = True
            raise
        return [
            delivery(stream, entry_id, flat, deaths=count - 1)
            for entry_id, flat in filter(None, claimed)
        ]

    async def _count_lost(self, stream: str, ghosts: list[bytes]) -> None:
        keys = (stream, self._bus.keys.ledger)
        lost = await self._bus.run("acknowledge", keys, self._group, "lost", *ghosts)
        log.error(
            "Entries were deleted from the stream before they were settled: they are lost",
            stream=stream,
            count=lost,
        )

    async def _ask(self, *words: Any) -> Any:  # noqa: ANN401 - a reply of any shape
        """Ask about what is pending: nothing, when the group is gone."""
        try:
            return await self._bus.command(*words)
        except redis_errors.ResponseError as error:
            if "NOGROUP" not in str(error):
                raise
            return []

    def _min_idle_ms(self, consumer: str) -> int:
        return 0 if consumer == self._name else int(ABANDONED_AFTER_S * 1000)

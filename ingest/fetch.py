"""History becomes events on the disk, a slice of time and a group of entities after the other."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from itertools import chain
from operator import itemgetter
from typing import Final

import msgspec

from common.errors import MalformedEvent
from common.event import Event, microseconds
from common.heartbeat import Heartbeat
from common.lifecycle import patiently
from common.logs import OncePerMinute, logger
from ingest import gap
from ingest.gap import Span
from ingest.history import History
from ingest.parse import HistoryRow, of_history_row
from ingest.snapshot import Snapshots
from ingest.spool import Spool

REST_S: Final = 0.05
"""Seconds between an answer and the next question."""

AT_ONCE: Final = 200
"""Rows that are understood and spooled together; between two such portions live events come."""

Keep = Callable[[Span], Awaitable[None]]
"""Keeps how far a span is filled."""

log = logger(__name__)


class Found(msgspec.Struct):
    """What history showed.

    Attributes:
        wanted: Entity → time of its last change.
        entities: Those that had any row.
        confirmed: Those whose last change had a row: that which is wanted, else a removal.
        unreadable: Those with a row that is none.
        newest: Time of the newest row of the last pass.
    """

    wanted: Mapping[str, str]
    entities: set[str] = msgspec.field(default_factory=set)
    confirmed: set[str] = msgspec.field(default_factory=set)
    unreadable: set[str] = msgspec.field(default_factory=set)
    newest: str = ""


class Fetch:
    """Asks for slices of time, and puts what is missing on the disk.

    Args:
        history: Whom to ask.
        spool: Where events go.
        home: Name of the home.
        heartbeat: Counts.
        snapshots: Knows what the present states mean.
    """

    def __init__(
        self,
        history: History,
        spool: Spool,
        home: str,
        heartbeat: Heartbeat,
        snapshots: Snapshots,
    ) -> None:
        self._snapshots = snapshots
        self._history = history
        self._spool = spool
        self._home = home
        self._heartbeat = heartbeat
        self._previous: dict[str, HistoryRow] = {}
        self._warn = OncePerMinute(log.warning)

    async def slices(  # noqa: PLR0913, PLR0917 - what a pass is made of
        self,
        span: Span,
        end: int,
        entities: Collection[str],
        found: Found,
        keep: Keep,
        stop: asyncio.Event,
    ) -> Span:
        """Ask for everything up to `end`, in pieces of time; keep each step.

        Raises:
            NoHistory: When there is no recorder.
            HomeAssistantUnavailable: When the connection ends.
            Stopped: When `stop` is set while the disk is away.
        """
        at, length = span.resumed_at(), gap.FIRST_SLICE
        while at < end:
            piece = gap.slice_after(at, end, length)
            span, size = await self.slice(span, piece, entities, found, stop)
            at, length = piece[1], gap.next_length(length, *size)
            step = span = msgspec.structs.replace(span, done=at)
            await patiently(lambda step=step: keep(step), stop, "the disk")  # type: ignore[misc]
        return span

    async def slice(
        self,
        span: Span,
        piece: tuple[int, int | None],
        entities: Collection[str],
        found: Found,
        stop: asyncio.Event,
    ) -> tuple[Span, tuple[int, float]]:
        """Ask for one slice of all entities; return the size and the seconds of the largest.

        Raises:
            NoHistory: When there is no recorder.
            HomeAssistantUnavailable: When the connection ends.
            Stopped: When `stop` is set while the disk is away.
        """
        size_bytes, seconds = 0, 0.0
        span = span.asked_again(piece[0], entities)
        for group in gap.groups(entities):
            reply = await self._history.ask(*piece, group)
            size_bytes, seconds = max(size_bytes, reply.size_bytes), max(seconds, reply.seconds)
            span = span.without(*reply.failed)
            for portion in self._portions(reply.rows, found):
                began = time.monotonic()
                new = await self._spooled(portion, stop)
                span = span.with_rows([microseconds(event.time) for event in portion], new)
                await asyncio.sleep(time.monotonic() - began)  # as much time for what is live
            await asyncio.sleep(REST_S)
        return span, (size_bytes, seconds)

    def _portions(
        self, answers: Sequence[Mapping[str, list[HistoryRow]]], found: Found
    ) -> Iterator[list[Event]]:
        """The rows as events, some at a time; by time, for so the spool knows them."""
        portion: list[Event] = []
        meanings = self._snapshots.meanings
        listed = chain.from_iterable(rows.items() for rows in answers)
        by_time = sorted(
            [(row.seconds, name, row) for name, rows in listed for row in rows], key=itemgetter(0)
        )
        for _, entity_id, row in by_time:
            told = row.with_meaning(meanings.get(entity_id, b"{}"))
            try:
                event = of_history_row(entity_id, told, self._before(entity_id, row), self._home)
            except MalformedEvent as error:
                self._warn("", "A row of history cannot be read", entity=entity_id, error=error)
                found.unreadable.add(entity_id)
                continue
            # Without its attributes: they would keep the whole answer in memory.
            self._previous[entity_id] = HistoryRow(row.s, lu=row.lu, lc=row.lc)
            found.entities.add(entity_id)
            found.newest = max(found.newest, event.time)
            wanted = found.wanted.get(entity_id)
            if row.is_removal if wanted is None else wanted == event.time:
                found.confirmed.add(entity_id)
            portion.append(event)
            if len(portion) == AT_ONCE:
                yield portion
                portion = []
        if portion:
            yield portion

    def _before(self, entity_id: str, row: HistoryRow) -> HistoryRow | None:
        """The row before this one, if it is known: the last stretch is asked for again."""
        previous = self._previous.get(entity_id)
        return previous if previous is not None and previous.seconds < row.seconds else None

    async def _spooled(self, events: list[Event], stop: asyncio.Event) -> int:
        """Put events on the disk; return how many are new."""
        new = await patiently(
            lambda: self._spool.add(events, filtered=0, now_ms=time.time_ns() // 1_000_000),
            stop,
            "the disk",
            lambda error: self._heartbeat.dependency("spool", error),
        )
        self._heartbeat.count(spooled=new, backfilled=new, duplicates=len(events) - new)
        return new

    async def unseen(self, span: Span, found: Found) -> tuple[list[str], list[str]]:
        """Entities that changed without a trace in history, and those that left one late.

        Raises:
            NoHistory: When there is no recorder.
            HomeAssistantUnavailable: When the connection ends.
        """
        lost: list[str] = []
        late: list[str] = []
        for entity_id, at in found.wanted.items():
            us = microseconds(at)
            if us > span.told_from and entity_id not in found.confirmed:
                has_row = await self._history.has_row(entity_id, us, us + 1)
                (late if has_row else lost).append(entity_id)
        return lost, late

"""After each connect: what was missed before it is fetched from Home Assistant's history."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from itertools import chain
from typing import Final

import msgspec

from common.errors import HomeAssistantUnavailable, MalformedEvent
from common.event import STATE_CHANGED, Event, microseconds, time_of
from common.heartbeat import Heartbeat
from common.lifecycle import Stopped, patiently
from common.logs import OncePerMinute, logger
from ingest import gap
from ingest.gap import Gap, Span
from ingest.history import History, NoHistory
from ingest.missing import Missing
from ingest.parse import HistoryRow, of_history_row
from ingest.protocol import ALL_EVENTS
from ingest.snapshot import Snapshots
from ingest.spool import Spool

SETTLE_S: Final = 15.0
"""Seconds after which the end of a span is asked for again: the recorder commits late.

Its `commit_interval` is 5 s where nobody changed it.
Source: https://www.home-assistant.io/integrations/recorder/
"""

SETTLINGS: Final = 4
"""How often that is done at most, as long as history does not show what came live."""

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
        confirmed: Those whose last change had a row.
        unreadable: Those with a row that is none.
        newest: Time of the newest row of the last pass.
    """

    wanted: Mapping[str, str]
    entities: set[str] = msgspec.field(default_factory=set)
    confirmed: set[str] = msgspec.field(default_factory=set)
    unreadable: set[str] = msgspec.field(default_factory=set)
    newest: str = ""


class Backfill:
    """Fetches, over one connection, what was missed before it.

    Args:
        history: Whom to ask.
        snapshots: Knows which entities there are, and when each last changed.
        spool: Where events go.
        missing: What is to be fetched.
        passes: Whether an entity is captured.
        home: Name of the home.
        event_types: Event types that are captured.
        heartbeat: Counts.
    """

    def __init__(  # noqa: PLR0913 - it stands between all of them
        self,
        history: History,
        snapshots: Snapshots,
        spool: Spool,
        missing: Missing,
        passes: Callable[[str], bool],
        *,
        home: str,
        event_types: Sequence[str],
        heartbeat: Heartbeat,
    ) -> None:
        self._history = history
        self._snapshots = snapshots
        self._spool = spool
        self._missing = missing
        self._passes = passes
        self._home = home
        self._captures_states = bool({STATE_CHANGED, ALL_EVENTS} & set(event_types))
        self._other_types = tuple(name for name in event_types if name != STATE_CHANGED)
        self._heartbeat = heartbeat
        self._previous: dict[str, HistoryRow] = {}
        self._warn = OncePerMinute(log.warning)
        self.live_since = ""
        """Time of the first live event of this connection; empty while none came."""

    async def fill(self, ask_states: Callable[[], Awaitable[None]], stop: asyncio.Event) -> None:
        """Fill the open span, if any; returns when it is closed, or the connection ends.

        Args:
            ask_states: Asks for a new snapshot.
            stop: When it is set while the disk or Redis is away, the span stays open.
        """
        subscribed = time.monotonic()
        try:
            await self._snapshots.arrived.wait()
            if not await self._history.started():
                self._snapshots.arrived.clear()  # the one that came was of half a home
                await ask_states()
                await self._snapshots.arrived.wait()
            heard = max(self._snapshots.states.values(), default="")
            span = await patiently(
                lambda: self._missing.resolve(_now_us(), heard, stop), stop, "the disk"
            )
            if span is not None:
                await self._fill(span, subscribed, stop)
            states = self._snapshots.states
            await patiently(lambda: self._missing.remember(states), stop, "the disk")
        except (HomeAssistantUnavailable, Stopped):
            return  # whoever reads the socket says so

    async def _fill(self, span: Span, subscribed: float, stop: asyncio.Event) -> None:
        began, end = time.monotonic(), _now_us()
        found = Found(dict(self._snapshots.states))
        unseen: list[str] = []
        gone: list[str] = []
        if self._captures_states:
            try:
                span = await self._passes_over(span, end, subscribed, found, stop)
                unseen, gone = await self._suspects(span, end, found)
                if found.unreadable:
                    odd = tuple(sorted(found.unreadable))
                    span = span.without(Gap(span.start or 0, end, gap.HISTORY_FAILED, odd))
            except NoHistory:
                span = span.without(Gap(span.start or 0, end, gap.RECORDER_ABSENT))
        gaps = gap.judged(span, end, unseen, gone, self._other_types)
        self._say(span, gaps, time.monotonic() - began)
        # Before the first start nothing was promised.
        kept = () if span.is_first else gaps
        heard = max(found.wanted.values(), default="")
        await patiently(lambda: self._missing.close(kept, heard), stop, "the disk")

    async def _passes_over(
        self, span: Span, end: int, subscribed: float, found: Found, stop: asyncio.Event
    ) -> Span:
        """Ask for all slices and, when the recorder has committed, for the last stretch again."""

        async def keep(span: Span) -> None:
            # What may not be committed yet is asked for again after a restart, too.
            done = min(span.done, end - gap.STRETCH)
            await self._missing.filled(msgspec.structs.replace(span, done=done))

        entities = self._entities()
        span = await self._slices(span, end, entities, found, keep, stop)
        newest = max(map(microseconds, found.wanted.values()), default=end)
        tail = gap.tail_of(span, end, newest)
        for _ in range(SETTLINGS):
            await asyncio.sleep(max(0.0, subscribed + SETTLE_S - time.monotonic()))
            subscribed, found.newest = time.monotonic(), ""
            span, _ = await self._slice(span, (tail, None), entities, found, stop)
            if found.newest >= self.live_since:
                break
        return span

    async def _slices(  # noqa: PLR0913, PLR0917 - what a pass is made of
        self,
        span: Span,
        end: int,
        entities: Collection[str],
        found: Found,
        keep: Keep,
        stop: asyncio.Event,
    ) -> Span:
        """Ask for everything up to `end`, in pieces of time; keep each step."""
        at, length = span.resumed_at(), gap.FIRST_SLICE
        while at < end:
            piece = gap.slice_after(at, end, length)
            span, size = await self._slice(span, piece, entities, found, stop)
            at, length = piece[1], gap.next_length(length, *size)
            step = span = msgspec.structs.replace(span, done=at)
            await patiently(lambda step=step: keep(step), stop, "the disk")  # type: ignore[misc]
        return span

    async def _slice(
        self,
        span: Span,
        piece: tuple[int, int | None],
        entities: Collection[str],
        found: Found,
        stop: asyncio.Event,
    ) -> tuple[Span, tuple[int, float]]:
        """Ask for one slice of all entities; return the size and the seconds of the largest."""
        size_bytes, seconds = 0, 0.0
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
        """The rows as events, some at a time."""
        portion: list[Event] = []
        listed = chain.from_iterable(rows.items() for rows in answers)
        for entity_id, row in ((name, row) for name, rows in listed for row in rows):
            try:
                event = of_history_row(entity_id, row, self._before(entity_id, row), self._home)
            except MalformedEvent as error:
                self._warn("", "A row of history cannot be read", entity=entity_id, error=error)
                found.unreadable.add(entity_id)
                continue
            # Without its attributes: they would keep the whole answer in memory.
            self._previous[entity_id] = HistoryRow(row.s, lu=row.lu, lc=row.lc)
            found.entities.add(entity_id)
            found.newest = max(found.newest, event.time)
            if found.wanted.get(entity_id) == event.time:
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
            lambda: self._spool.add(events, filtered=0, now_ms=_now_us() // 1000),
            stop,
            "the disk",
            lambda error: self._heartbeat.dependency("spool", error),
        )
        self._heartbeat.count(spooled=new, backfilled=new, duplicates=len(events) - new)
        return new

    async def _suspects(self, span: Span, end: int, found: Found) -> tuple[list[str], list[str]]:
        """Entities that changed, and those that vanished, without a trace in history."""
        start = span.start or 0
        unseen = [
            entity_id
            for entity_id, at in found.wanted.items()
            if microseconds(at) > start
            and entity_id not in found.confirmed
            and self._passes(entity_id)
            and not await self._history.has_row(entity_id, microseconds(at), microseconds(at) + 1)
        ]
        gone = [
            entity_id
            for entity_id in self._missing.entities - found.wanted.keys() - found.entities
            if self._passes(entity_id) and not await self._history.has_row(entity_id, start, end)
        ]
        return unseen, gone

    def _entities(self) -> set[str]:
        known = {*self._snapshots.states, *self._snapshots.registered, *self._missing.entities}
        return {entity_id for entity_id in known if self._passes(entity_id)}

    @staticmethod
    def _say(span: Span, gaps: Sequence[Gap], seconds: float) -> None:
        since = time_of(span.start or 0)
        took_s = round(seconds, 1)
        log.info("Fetched what was missed", since=since, recovered=span.recovered, took_s=took_s)
        for each in gaps:
            told = each.shown()
            names = told["entities"]
            told["entities"] = (
                f"{len(names)}: {', '.join(names[:5])}" if isinstance(names, list) else names
            )
            say = log.info if span.is_first else log.warning
            say("Events stay missing", **told)


def _now_us() -> int:
    return time.time_ns() // 1000

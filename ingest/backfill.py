"""After each connect: what was missed before it is fetched from Home Assistant's history."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from typing import Final

import msgspec

from common.bus import BackfillJob
from common.errors import HomeAssistantUnavailable, MalformedEvent
from common.event import STATE_CHANGED, microseconds, time_of
from common.heartbeat import Heartbeat
from common.lifecycle import Stopped, patiently
from common.logs import logger
from ingest import gap
from ingest.fetch import Fetch, Found
from ingest.gap import Gap, Span
from ingest.history import History, NoHistory
from ingest.missing import Missing
from ingest.on_request import Cancelled, Requests, entities_of, span_of, unmatched
from ingest.protocol import ALL_EVENTS
from ingest.snapshot import Snapshots
from ingest.spool import Spool

SETTLE_S: Final = 15.0
"""Seconds after which the end of a span is asked for again: the recorder commits late.

Its `commit_interval` is 5 s where nobody changed it.
Source: https://www.home-assistant.io/integrations/recorder/
"""

SETTLINGS: Final = 4
"""How often that is done at most, as long as history does not show what came live or last."""

log = logger(__name__)


class Backfill:
    """Fetches, over one connection, what was missed before it.

    Args:
        history: Whom to ask.
        snapshots: Knows which entities there are, and when each last changed.
        spool: Where events go.
        missing: What is to be fetched.
        passes: Whether an entity is captured.
        requests: What people ask for.
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
        requests: Requests,
        home: str,
        event_types: Sequence[str],
        heartbeat: Heartbeat,
    ) -> None:
        self._history = history
        self._snapshots = snapshots
        self._fetch = Fetch(history, spool, home, heartbeat, snapshots)
        self._missing = missing
        self._requests = requests
        self._passes = passes
        self._captures_states = bool({STATE_CHANGED, ALL_EVENTS} & set(event_types))
        self._other_types = tuple(name for name in event_types if name != STATE_CHANGED)
        self.live_since = ""
        """Time of the first live event of this connection; empty while none came."""

    async def fill(self, ask_states: Callable[[], Awaitable[None]], stop: asyncio.Event) -> None:
        """Fill the open span, if any, then what people ask for; returns when the connection ends.

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
            while True:
                await self._as_asked(await self._requests.next(stop), stop)
        except (HomeAssistantUnavailable, Stopped):
            return  # whoever reads the socket says so

    async def _fill(self, span: Span, subscribed: float, stop: asyncio.Event) -> None:
        began, end, states = time.monotonic(), _now_us(), self._snapshots.states
        found = Found(self._captured(states))
        unseen: list[str] = []
        gone: list[str] = []
        if self._captures_states:
            try:
                span = await self._passes_over(span, end, subscribed, found, stop)
                unseen, late = await self._fetch.unseen(span, found)
                span = await self._again(span, end, late, found, stop)
                gone = await self._gone(span, end, found)
                if found.unreadable:
                    odd = tuple(sorted(found.unreadable))
                    span = span.without(Gap(span.start or 0, end, gap.HISTORY_FAILED, odd))
            except NoHistory:
                span = span.without(Gap(span.start or 0, end, gap.RECORDER_ABSENT))
        gaps = gap.judged(span, end, unseen, gone, self._other_types)
        self._say(span, gaps, time.monotonic() - began)
        # Before the first start nothing was promised.
        kept = () if span.is_first else gaps
        heard = max(states.values(), default="")
        await patiently(lambda: self._missing.close(kept, heard), stop, "the disk")

    async def _as_asked(self, job: BackfillJob, stop: asyncio.Event) -> None:
        """Fetch what a person asked for."""
        error = ""
        try:
            span, end = span_of(job, _now_us())
            job = msgspec.structs.replace(job, end=time_of(end))
        except MalformedEvent as odd:
            span, end, error = Span(0), 0, str(odd)
        known = self._entities()
        entities = set(filter(self._passes, entities_of(job, known)))
        if error or not entities:
            with suppress(Cancelled):
                error = error or "none of these entities is known and captured"
                await self._requests.finish(job, 0, [], error, stop)
            return
        states = self._captured(self._snapshots.states).items()
        found = Found({e: at for e, at in states if e in entities and microseconds(at) < end})
        unseen: list[str] = []
        try:
            try:
                span = await self._fetch.slices(
                    span, end, entities, found, lambda to: self._requests.note(job, to, stop), stop
                )
                unseen, _ = await self._fetch.unseen(span, found)
                if gap.seems_purged(span, end, _now_us()) and await self._reaches_back(span):
                    span = msgspec.structs.replace(span, reaches_back=True)
            except NoHistory:
                span = span.without(Gap(span.start or 0, end, gap.RECORDER_ABSENT))
            gaps = gap.judged(span, end, unseen, (), now=_now_us())
            if nobody := unmatched(job, (entities & known) | found.entities):
                gaps.append(Gap(span.start or 0, end, gap.UNKNOWN_ENTITY, nobody))
            await self._requests.finish(job, span.recovered, gaps, "", stop)
        except Cancelled:
            return
        finally:
            self._missing.heard |= found.entities

    async def _reaches_back(self, span: Span) -> bool:
        """Whether history has anything of anybody about where a span begins: it was not purged."""
        start = span.start or 0
        for group in gap.groups(self._entities()):
            reply = await self._history.ask(start - gap.QUIET, start + gap.QUIET, group)
            if any(listed for rows in reply.rows for listed in rows.values()):
                return True
        return False

    async def _passes_over(
        self, span: Span, end: int, subscribed: float, found: Found, stop: asyncio.Event
    ) -> Span:
        """Ask for all slices and, when the recorder has committed, for the last stretch again."""

        async def keep(span: Span) -> None:
            # What may not be committed yet is asked for again after a restart, too.
            done = min(span.done, end - gap.STRETCH)
            await self._missing.filled(msgspec.structs.replace(span, done=done))

        entities = self._entities()
        span = await self._fetch.slices(span, end, entities, found, keep, stop)
        newest = max(map(microseconds, self._snapshots.states.values()), default=end)
        tail = gap.tail_of(span, end, newest)
        for number in range(SETTLINGS):
            await asyncio.sleep(max(0.0, subscribed + SETTLE_S - time.monotonic()))
            subscribed, found.newest = time.monotonic(), ""
            # A row from after the first live event proves that all before it is committed. The
            # next second has one nearly always; later ones only where it has not.
            is_busy = number == 0 and self.live_since
            until = microseconds(self.live_since) + gap.SECOND if is_busy else None
            span, _ = await self._fetch.slice(span, (tail, until), entities, found, stop)
            if self._shows_all(span, found):
                break
        return span

    def _shows_all(self, span: Span, found: Found) -> bool:
        """Whether history shows what came live or, in a quiet home, the last that is to be found.

        That is how each entity that changed became what it is now, or went.
        """
        if self.live_since:
            return found.newest >= self.live_since
        since = time_of(span.told_from)
        changed = {entity_id for entity_id, at in found.wanted.items() if at > since}
        return found.confirmed >= changed | self._vanished()

    async def _again(
        self, span: Span, end: int, late: Collection[str], found: Found, stop: asyncio.Event
    ) -> Span:
        """Ask once more for entities of which an answer did not show what is there after all."""

        async def keep(_: Span) -> None:
            pass

        if not late:
            return span
        whole = msgspec.structs.replace(span, done=span.asked_from)
        whole = await self._fetch.slices(whole, end, late, found, keep, stop)
        whole, _ = await self._fetch.slice(whole, (end, None), late, found, stop)
        return whole

    async def _gone(self, span: Span, end: int, found: Found) -> list[str]:
        """Entities that vanished without a trace in history."""
        start = span.start or 0
        return [
            entity_id
            for entity_id in self._vanished()
            if entity_id not in found.entities
            and not await self._history.has_row(entity_id, start, end)
        ]

    def _vanished(self) -> set[str]:
        """Entities that are gone, though nobody heard of their removal."""
        gone = self._missing.before - self._snapshots.states.keys()
        return set(filter(self._passes, gone))

    def _captured(self, states: Mapping[str, str]) -> dict[str, str]:
        return {entity_id: at for entity_id, at in states.items() if self._passes(entity_id)}

    def _entities(self) -> set[str]:
        known = {*self._snapshots.states, *self._snapshots.registered, *self._missing.before}
        known |= self._missing.heard
        return {entity_id for entity_id in known if entity_id and self._passes(entity_id)}

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

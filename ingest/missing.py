"""What is missing: kept beside the events, so that it outlives a restart, and told to Redis."""

import asyncio
import time
from collections.abc import Collection, Iterable, Sequence
from functools import partial
from typing import Final

import msgspec
from msgspec.structs import replace

from common.bus import Bus
from common.errors import MalformedEvent
from common.event import BACKFILL, STATE_CHANGED, Event, microseconds, normal_time, time_of
from common.lifecycle import patiently, pause, to_its_end
from common.logs import logger
from ingest.gap import HOUR, Gap, Span, events_of
from ingest.parse import is_removal
from ingest.spool import HELD, IN_DOUBT, LIVE_UNTIL, Spool

REMEMBERED: Final = 100
"""Newest gaps that are told."""

TOLD_EVERY_S: Final = 10.0
"""Seconds after which gaps are written again: Redis may have been emptied."""

SPAN, GAPS, HEARD = "span", "gaps", "heard"
"""Facts in the spool: the open span, the newest gaps, the entities that were ever heard of."""

ENTITIES, AS_OF = "entities", "entities_as_of"
"""Facts in the spool: the entities there are, and the number of the row up to which that is so."""

NOT_KEPT: Final = 20_000
"""Newest events whose entities are looked up at the start: a kill left no time to keep them."""

MOST_HEARD: Final = 20_000
"""Entities that are remembered though they are in no snapshot."""

log = logger(__name__)
_span = msgspec.json.Decoder(Span | None)
_gaps = msgspec.json.Decoder(list[Gap])
_names = msgspec.json.Decoder(frozenset[str])


class Missing:
    """The span that is not filled yet, and the gaps that stay.

    Args:
        spool: Where they are kept.
        bus: Where they are told.
        home: Name of the home.
        first_hours: Hours of history that are fetched when nothing was ever captured.

    Attributes:
        span: None while nothing is missing.
        gaps: The newest of those that stay, oldest first.
        before: Entities there were before this connection, but for those that it saw removed.
        present: Entities that this connection heard of, but for those that it saw removed.
        heard: Those that were ever heard of; they may have come and gone, and come again.
    """

    def __init__(self, spool: Spool, bus: Bus, home: str, first_hours: float) -> None:
        self._spool = spool
        self._bus = bus
        self._home = home
        self._first_hours = first_hours
        self._changed = asyncio.Event()
        self._changing = asyncio.Lock()
        self.span: Span | None = _span.decode(spool.fact(SPAN) or "null")
        self.gaps: list[Gap] = _gaps.decode(spool.fact(GAPS) or "[]")
        self._kept_entities = _names.decode(spool.fact(ENTITIES) or "[]")
        self.before: set[str] = set(self._kept_entities)
        self.present: set[str] = set()
        self.heard: set[str] = set(_names.decode(spool.fact(HEARD) or "[]"))
        self._heard_kept = len(self.heard)
        self._catch_up()

    async def begin(self, now: int) -> None:
        """Say that events may be missing from the newest live one on, until `close`.

        To be said before each connection, and when it ends.

        Args:
            now: Microseconds since 1970; a clock that was ahead once must hide nothing.

        Raises:
            SpoolUnavailable: When the disk refuses.
        """
        self.before |= self.present
        self.present = set()
        newest = self._spool.live_until
        since = min(microseconds(newest), now) if newest else 0
        async with self._changing:
            if self.is_in_doubt:
                await self._keep(Span(None))
            else:
                await self._begin(since)

    @property
    def is_in_doubt(self) -> bool:
        """Whether the spool's file was damaged since, and what it had not sent may be gone.

        What Redis has is complete up to where it says; from there on all is to be fetched.
        """
        is_held = self._spool.fact(HELD) == IN_DOUBT
        return is_held and (self.span is None or self.span.start is not None)

    async def _begin(self, since: int) -> None:
        if self.span is None:
            await self._keep(Span(since or None))
        elif self.span.is_first or (self.span.start is None and since > self.span.promised == 0):
            # The connection ended before the very first span was filled: what is missing from
            # then on is no past that nobody was promised.
            promised = since or self.span.promised
            await self._keep(replace(self.span, is_first=False, promised=promised))

    async def resolve(self, now: int, heard_until: str, stop: asyncio.Event) -> Span | None:
        """The open span with its beginning, which Redis knows when the spool is new.

        Args:
            now: Microseconds since 1970.
            heard_until: As `close` takes it, should there be nothing to fetch.
            stop: Ends the waiting for Redis.

        Raises:
            SpoolUnavailable: When the disk refuses.
            Stopped: When `stop` is set while Redis is away.
        """
        if self.span is None or self.span.start is not None:
            return self.span
        read = partial(self._bus.read_field, self._bus.keys.watermark, "complete_until")
        said = await patiently(read, stop, "Redis")
        async with self._changing:
            return await self._resolved(said, self.span, now, heard_until)

    async def _resolved(
        self, said: bytes | None, span: Span, now: int, heard_until: str
    ) -> Span | None:
        try:
            start = microseconds(normal_time((said or b"").decode("ascii", "replace")))
        except MalformedEvent:
            promised = span.promised
            if not self._first_hours and not promised:
                await self.close((), heard_until)
                return None
            first = now - int(self._first_hours * HOUR)
            start = min(first, promised) if promised else first
            await self._keep(Span(start, is_first=not promised, promised=promised or now))
        else:
            log.warning(
                "The spool is new, or was damaged; going on where Redis says it was complete",
                since=time_of(start),
            )
            await self._keep(Span(min(start, now)))
        return self.span

    async def filled(self, span: Span) -> None:
        """Say how far the open span is filled.

        Raises:
            SpoolUnavailable: When the disk refuses.
        """
        async with self._changing:
            if self.span is not None and not self.is_in_doubt:
                # The connection may have ended meanwhile.
                is_first, promised = self.span.is_first, self.span.promised
                await self._keep(replace(span, is_first=is_first, promised=promised))

    async def close(self, gaps: Sequence[Gap], heard_until: str) -> None:
        """End the open span, unless the spool was damaged: these gaps stay, all else is there.

        Args:
            gaps: What history could not give.
            heard_until: Time of the newest state of the snapshot: in a quiet home nothing live
                may follow that would say how far the history is complete.

        Raises:
            SpoolUnavailable: When the disk refuses.
        """
        if self.is_in_doubt:
            return
        if gaps:
            # First, and again after a crash between the two: the same gap is the same event.
            events = events_of(gaps, self._home)
            await self._spool.add(events, filtered=0, now_ms=time.time_ns() // 1_000_000)
        kept = [*(gap for gap in self.gaps if gap not in gaps), *gaps][-REMEMBERED:]
        heard_until = max(heard_until, self._spool.live_until)
        facts: dict[str, str | None] = {
            SPAN: None,
            HELD: None,
            GAPS: _json(kept),
            LIVE_UNTIL: heard_until,
        }
        entities, gone = frozenset(self.present), self.before - self.present
        await self._spool.note(facts | self._entities_as_facts(entities))
        self.span, self.gaps = None, kept
        self.before -= gone  # all others may have come from `begin`: the connection may have ended
        self._kept_entities = entities
        self._changed.set()

    def hear(self, events: Sequence[Event], removals: Collection[Event] = ()) -> None:
        """Take in which entities came or went, before the events are spooled.

        Args:
            events: Live ones and those of a snapshot, in the order in which they came.
            removals: Those, perhaps with others, by which an entity was removed.
        """
        changes = [event for event in events if event.type == STATE_CHANGED]
        names = [event.entity_id for event in changes]
        self.heard.update(names)
        self.present.update(names)
        if removals:
            newest = dict(zip(names, changes, strict=True))
            gone = {event.entity_id for event in removals if newest.get(event.entity_id) is event}
            self.present -= gone
            self.before -= gone

    def _catch_up(self) -> None:
        """Take in what was spooled after the entities were kept; what came by history is older."""
        as_of = int(self._spool.fact(AS_OF) or 0)
        is_gone: dict[str, bool] = {}
        for last, events in self._spool.rows.newest(NOT_KEPT):
            self.heard.update([event.entity_id for event in events])
            for event in reversed(events if last > as_of else ()):
                is_change = event.type == STATE_CHANGED and event.source != BACKFILL
                if is_change and event.entity_id not in is_gone:
                    is_gone[event.entity_id] = is_removal(event)
        self.before.update(is_gone)
        self.before -= {name for name, gone in is_gone.items() if gone}

    def _entities_as_facts(self, entities: Iterable[str]) -> dict[str, str | None]:
        return {ENTITIES: _json(sorted(entities)), AS_OF: str(self._spool.rows.end.seq)}

    async def keep_telling(self, stop: asyncio.Event) -> None:
        """Write the gaps, open and final, into the watermark until `stop` is set.

        Raises:
            Stopped: When `stop` is set while Redis is away.
        """
        while not stop.is_set():
            self._changed.clear()
            await patiently(self._keep_heard, stop, "the disk")
            await patiently(self._keep_entities, stop, "the disk")
            write = partial(
                self._bus.write_hash, self._bus.keys.watermark, {"gaps": _json(self.shown())}
            )
            await patiently(write, stop, "Redis")
            changed = asyncio.create_task(self._changed.wait())
            pausing = asyncio.create_task(pause(stop, TOLD_EVERY_S))
            await asyncio.wait([changed, pausing], return_when=asyncio.FIRST_COMPLETED)
            changed.cancel()
            pausing.cancel()

    def shown(self) -> list[dict[str, object]]:
        """The gaps for people and programs, oldest first; what is being filled comes last."""
        told = [{**gap.shown(), "state": "final"} for gap in self.gaps]
        if self.span is not None and self.span.start is not None and not self.span.is_first:
            told.append(
                {
                    "from": time_of(self.span.told_from),
                    "to": None,
                    "reason": "being_filled",
                    "entities": "all",
                    "recovered": self.span.recovered,
                    "state": "open",
                }
            )
        return told

    async def _keep_heard(self) -> None:
        if len(self.heard) > MOST_HEARD:
            self.heard &= self.before | self.present
        if len(self.heard) != self._heard_kept:
            kept = len(self.heard)
            await self._spool.note({HEARD: _json(sorted(self.heard))})
            self._heard_kept = kept

    async def _keep_entities(self) -> None:
        entities = frozenset(self.before | self.present)
        if entities != self._kept_entities:
            await self._spool.note(self._entities_as_facts(entities))
            self._kept_entities = entities

    async def _keep(self, span: Span) -> None:
        await to_its_end(self._kept(span))

    async def _kept(self, span: Span) -> None:
        held = IN_DOUBT if span.start is None else time_of(span.start)
        await self._spool.note({SPAN: _json(span), HELD: held})
        self.span = span
        self._changed.set()


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()

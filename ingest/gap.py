"""Which time is missing, in which pieces it is asked for, and what stays missing.

Times are microseconds since 1970, by Home Assistant's clock.
"""

import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

import msgspec

from common.event import BACKFILL, GAP, NAMESPACE, Event, microseconds, time_of

SECOND: int = 1_000_000
HOUR: int = 3_600 * SECOND

OVERLAP: int = 60 * SECOND
"""What is asked for again before a span: events do not come in the order of their times."""

STRETCH: int = 300 * SECOND
"""What is asked for again when the recorder has had time to commit."""

ENTITIES_AT_ONCE = 100
"""Entities of one question."""

FIRST_SLICE, SHORTEST_SLICE, LONGEST_SLICE = 600 * SECOND, 10 * SECOND, 24 * HOUR
"""Length of a slice of time: of the first question, and its bounds."""

SMALL_BYTES, LARGE_BYTES = 128 * 1024, 1024 * 1024
"""Below the one a slice grows, above the other it shrinks: a large answer holds up live events."""

SLOW_S = 2.0
"""Seconds of an answer above which a slice shrinks, too."""

SHORTEST_RETENTION: int = 25 * HOUR
"""What a recorder surely keeps: `purge_keep_days` is at least one day, and it purges each night."""

QUIET: int = HOUR
"""Time without any change in a home that may pass for quiet."""

NOT_RECORDED = "not_recorded"
"""The recorder leaves these entities out; their last state is known, those before it are not."""

REMOVED = "removed"
"""These entities are gone, and history does not say when."""

BEYOND_RETENTION = "beyond_retention"
"""History does not reach back so far."""

RECORDER_ABSENT = "recorder_absent"
"""Home Assistant has no history at all."""

HISTORY_FAILED = "history_failed"
"""History did not answer, however often it was asked."""

OTHER_EVENT_TYPES = "other_event_types"
"""History has nothing but state changes."""

UNKNOWN_ENTITY = "unknown_entity"
"""Somebody asked for these; neither the home nor its history of that time knows them."""

REASONS = (
    NOT_RECORDED, REMOVED, BEYOND_RETENTION, RECORDER_ABSENT, HISTORY_FAILED, OTHER_EVENT_TYPES,
    UNKNOWN_ENTITY,
)  # fmt: skip
"""Why something stays missing."""

ALL = "all"
"""In place of a list of entities."""


class Gap(msgspec.Struct, frozen=True):
    """What stays missing.

    Attributes:
        start: From here on.
        end: Up to here.
        reason: One of `REASONS`.
        entities: Whose events; None: everybody's.
        recovered: How many events of the same span came from history.
        event_types: Types that are missing.
    """

    start: int
    end: int
    reason: str
    entities: tuple[str, ...] | None = None
    recovered: int = 0
    event_types: tuple[str, ...] = ("state_changed",)

    def is_of(self, entities: frozenset[str]) -> bool:
        """Whether it is a gap of nobody but these."""
        return self.entities is not None and entities.issuperset(self.entities)

    def shown(self) -> dict[str, object]:
        """The gap for people and programs."""
        return {
            "from": time_of(self.start),
            "to": time_of(self.end),
            "seconds": (self.end - self.start) / SECOND,
            "reason": self.reason,
            "entities": ALL if self.entities is None else list(self.entities),
            "event_types": list(self.event_types),
            "recovered": self.recovered,
        }


def gap_of(shown: Mapping[str, Any]) -> Gap:
    """The gap that was shown so."""
    entities = shown["entities"]
    return Gap(
        microseconds(shown["from"]),
        microseconds(shown["to"]),
        shown["reason"],
        None if entities == ALL else tuple(entities),
        shown["recovered"],
        tuple(shown["event_types"]),
    )


class Span(msgspec.Struct, frozen=True):
    """A time of which events may be missing, until now, and how far it is filled.

    Attributes:
        start: The newest event before it; None: not yet known.
        done: Up to here history was asked for.
        is_first: Whether nothing was ever captured before, nor missed since.
        promised: From here on what is missing is told: nobody listened before. 0: all of it.
        recovered: Events that history gave and that were not there.
        reaches_back: Whether history had anything at its very beginning.
        first_row: Time of the oldest row that history gave; None: none yet.
        failed: What history did not answer.
        overlap: How much before the start is asked for, too.
    """

    start: int | None
    done: int = 0
    is_first: bool = False
    recovered: int = 0
    reaches_back: bool = False
    first_row: int | None = None
    failed: tuple[Gap, ...] = ()
    overlap: int = OVERLAP
    promised: int = 0

    @property
    def told_from(self) -> int:
        """Where what is missing begins to be told."""
        return max(self.start or 0, self.promised)

    @property
    def asked_from(self) -> int:
        """Where to begin to ask."""
        return (self.start or 0) - self.overlap

    def resumed_at(self) -> int:
        """Where to go on asking."""
        return max(self.done, self.asked_from)

    def with_rows(self, times: Sequence[int], new: int) -> "Span":
        """The same after rows with these times came, of which so many were new."""
        oldest = min((*times, *(() if self.first_row is None else (self.first_row,))))
        return msgspec.structs.replace(
            self,
            recovered=self.recovered + new,
            first_row=oldest,
            reaches_back=self.reaches_back or oldest <= (self.start or 0),
        )

    def asked_again(self, start: int, entities: Collection[str]) -> "Span":
        """The same before everything of these entities since `start` is asked for again."""
        asked = frozenset(entities)
        kept = tuple(gap for gap in self.failed if gap.start < start or not gap.is_of(asked))
        return msgspec.structs.replace(self, failed=kept)

    def without(self, *failed: Gap) -> "Span":
        """The same, but that history did not answer these."""
        return msgspec.structs.replace(self, failed=(*self.failed, *failed))


def slice_after(at: int, end: int, length: int) -> tuple[int, int]:
    """The next slice, [from, to)."""
    return at, min(end, at + length)


def bounds(start: int, end: int) -> tuple[str, str]:
    """Start and end of a question for the slice [start, end): both are exclusive."""
    return time_of(start - 1), time_of(end)


def groups(entities: Iterable[str]) -> list[tuple[str, ...]]:
    """Cut entities into what is asked for at once."""
    ordered = sorted(entities)
    return [
        tuple(ordered[at : at + ENTITIES_AT_ONCE])
        for at in range(0, len(ordered), ENTITIES_AT_ONCE)
    ]


def next_length(length: int, size_bytes: int, seconds: float) -> int:
    """Length of the next slice, after the largest and slowest answer of the last one."""
    if size_bytes > LARGE_BYTES or seconds > SLOW_S:
        return max(SHORTEST_SLICE, length // 2)
    if size_bytes < SMALL_BYTES:
        return min(LONGEST_SLICE, length * 2)
    return length


def tail_of(span: Span, now: int, newest: int) -> int:
    """Where the second pass begins.

    Args:
        span: What is filled.
        now: Our clock when the first pass ended.
        newest: Newest time that Home Assistant gave; its clock may be another.
    """
    return max(span.asked_from, min(now, newest) - STRETCH)


def judged(  # noqa: PLR0913 - all that decides
    span: Span,
    end: int,
    unseen: Iterable[str],
    gone: Iterable[str],
    other_types: Sequence[str] = (),
    *,
    now: int = 0,
) -> list[Gap]:
    """What stays missing of a span that is filled as far as it can be.

    Args:
        span: What was filled; its start is known.
        end: Where it ended.
        unseen: Entities that changed in it, without a trace in history.
        gone: Entities that vanished in it, without a trace in history.
        other_types: Captured event types of which there is no history.
        now: Our clock, where that is later than the end.
    """
    start = span.told_from
    found = list(span.failed)
    if all(gap.reason != RECORDER_ABSENT for gap in found):
        if seems_purged(span, end, now):
            found.append(Gap(span.start or 0, _known_from(span, end), BEYOND_RETENTION))
        for reason, entities in ((NOT_RECORDED, unseen), (REMOVED, gone)):
            if named := tuple(sorted(entities)):
                found.append(Gap(start, end, reason, named))
    if other_types:
        found.append(Gap(start, end, OTHER_EVENT_TYPES, None, 0, tuple(sorted(other_types))))
    told = [
        msgspec.structs.replace(gap, start=max(gap.start, span.promised))
        for gap in found
        if gap.end > span.promised
    ]
    return [msgspec.structs.replace(gap, recovered=span.recovered) for gap in merged(told)]


def seems_purged(span: Span, end: int, now: int = 0) -> bool:
    """Whether a span is old enough to be purged, and its beginning silent, or all of it."""
    start = span.start or 0
    is_old = max(end, now) - start > SHORTEST_RETENTION
    is_silent = _known_from(span, end) > min(start + QUIET, end - 1)
    return is_old and is_silent and not span.reaches_back


def _known_from(span: Span, end: int) -> int:
    return end if span.first_row is None else span.first_row


def merged(gaps: Iterable[Gap]) -> list[Gap]:
    """The same gaps in fewer pieces: those of the same time joined, then those that touch."""
    by_time: dict[tuple[int, int, str, tuple[str, ...]], tuple[str, ...] | None] = {}
    for gap in gaps:
        key = (gap.start, gap.end, gap.reason, gap.event_types)
        known = by_time.get(key, ())
        everybody = gap.entities is None or known is None
        by_time[key] = None if everybody else tuple(sorted({*(known or ()), *(gap.entities or ())}))
    same = sorted(
        (Gap(start, end, reason, entities, 0, types)
         for (start, end, reason, types), entities in by_time.items()),
        key=lambda gap: (gap.reason, gap.event_types, gap.entities or (), gap.start),
    )  # fmt: skip
    joined: list[Gap] = []
    for _, alike in groupby(same, key=lambda gap: (gap.reason, gap.event_types, gap.entities)):
        last: Gap | None = None
        for gap in alike:
            if last is not None and gap.start <= last.end:
                last = msgspec.structs.replace(last, end=max(last.end, gap.end))
                joined[-1] = last
            else:
                last = gap
                joined.append(gap)
    return sorted(joined, key=lambda gap: (gap.start, REASONS.index(gap.reason)))


def events_of(gaps: Sequence[Gap], home: str) -> list[Event]:
    """One event for each gap; the same gap is the same event.

    Their times differ by a microsecond where they begin together: a sink keeps one event of a
    kind at a time.
    """
    events = []
    taken: set[int] = set()
    for gap in gaps:
        at = gap.start
        while at in taken:
            at += 1
        taken.add(at)
        data = {
            "event_type": GAP,
            "data": gap.shown(),
            "origin": "LOCAL",
            "time_fired": time_of(at),
            "context": None,
        }
        name = f"{home}\0{GAP}\0{gap.reason}\0{gap.start}\0{gap.end}\0{gap.entities}"
        identity = str(uuid.uuid5(NAMESPACE, name))
        encoded = msgspec.json.encode(data)
        events.append(Event(identity, GAP, "", time_of(at), BACKFILL, home, encoded))
    return events

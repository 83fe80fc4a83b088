"""What a person asked to have fetched from history."""

import asyncio
import itertools
from collections.abc import Collection
from fnmatch import filter as matching
from typing import Final

import msgspec

from common.bus import BackfillJob, Backfills, Bus
from common.errors import MalformedEvent
from common.event import microseconds, normal_time, time_of
from common.lifecycle import patiently
from common.logs import logger
from ingest.gap import Gap, Span, gap_of

LOOK_EVERY_S: Final = 2.0
"""Seconds between two looks for a new request."""

log = logger(__name__)


class Cancelled(Exception):
    """The person does not want it any more."""


class Requests:
    """The requests that ingest works on, one after the other.

    Args:
        bus: Where they stand.
    """

    def __init__(self, bus: Bus) -> None:
        self._jobs = Backfills(bus)

    async def next(self, stop: asyncio.Event) -> BackfillJob:
        """Wait for the oldest request that is not done.

        Raises:
            Stopped: When `stop` is set while Redis is away.
        """
        while True:
            open_jobs = [
                job
                for job in await patiently(self._jobs.list, stop, "Redis")
                if job.state != "done"
            ]
            if open_jobs:
                return open_jobs[-1]
            await asyncio.sleep(LOOK_EVERY_S)

    async def note(self, job: BackfillJob, span: Span, stop: asyncio.Event) -> None:
        """Say how far a request is.

        Raises:
            Cancelled: When it is not wanted any more.
            Stopped: When `stop` is set while Redis is away.
        """
        start, end = microseconds(job.start), microseconds(job.end)
        at = min(max(span.done, start), end)
        await self._write(
            msgspec.structs.replace(
                job,
                state="running",
                done_until=time_of(at),
                progress=round((at - start) / max(1, end - start), 4),
                recovered=span.recovered,
                oldest="" if span.first_row is None else time_of(span.first_row),
                gaps=tuple(gap.shown() for gap in span.failed),
            ),
            stop,
        )

    async def finish(
        self, job: BackfillJob, recovered: int, gaps: list[Gap], error: str, stop: asyncio.Event
    ) -> None:
        """Say that a request is done.

        Raises:
            Cancelled: When it is not wanted any more.
            Stopped: When `stop` is set while Redis is away.
        """
        done = msgspec.structs.replace(
            job,
            state="done",
            done_until="" if error else job.end,
            progress=0.0 if error else 1.0,
            recovered=recovered,
            gaps=tuple(gap.shown() for gap in gaps),
            error=error,
        )
        await self._write(done, stop)
        log.info(
            "Fetched what was asked for",
            job=job.id,
            since=job.start,
            until=job.end,
            recovered=recovered,
            gaps=len(gaps),
            error=error,
        )

    async def _write(self, job: BackfillJob, stop: asyncio.Event) -> None:
        if not await patiently(lambda: self._jobs.note(job), stop, "Redis"):
            log.info("The backfill was cancelled", job=job.id)
            raise Cancelled


def span_of(job: BackfillJob, now: int) -> tuple[Span, int]:
    """What is to be filled for a request, and up to when.

    Raises:
        MalformedEvent: When a time of it cannot be read, or all of it is still to come.
    """
    start, end = microseconds(normal_time(job.start)), microseconds(normal_time(job.end))
    if start >= now:
        raise MalformedEvent("this time is still to come; Home Assistant has no history of it")
    done = microseconds(normal_time(job.done_until)) if job.done_until else start
    span = Span(
        start,
        done=done,
        recovered=job.recovered,
        first_row=microseconds(job.oldest) if job.oldest else None,
        failed=tuple(gap_of(shown) for shown in job.gaps),
        overlap=0,
    )
    return span, min(end, now)


def entities_of(job: BackfillJob, known: Collection[str]) -> set[str]:
    """The entities that a request names: whole ids, and those that its patterns match."""
    wanted = [name.lower() for name in job.entities]
    if not wanted:
        return set(known)
    whole = set(itertools.filterfalse(_is_pattern, wanted))
    return whole.union(*(matching(known, glob) for glob in wanted))


def unmatched(job: BackfillJob, known: Collection[str]) -> tuple[str, ...]:
    """Names and patterns of a request that are met by none of these entities."""
    names = {name.lower() for name in job.entities}.difference(known)
    return tuple(
        name for name in sorted(names) if not (_is_pattern(name) and matching(known, name))
    )


def _is_pattern(name: str) -> bool:
    return bool(set(name) & set("*?["))

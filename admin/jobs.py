"""Running replay jobs: whoever runs them, each letter is put back once."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from itertools import islice
from typing import Final

from common.bus import Bus, DeadLetters, Deed, Filter, Job, Replays, Who
from common.bus.replays import State
from common.errors import BusUnavailable, CountChanged, PipelineError
from common.event import time_of
from common.lifecycle import pause
from common.logs import logger

STEP: Final = 200
"""Most letters of one step: Redis serves nobody else while it runs, some milliseconds."""

STEP_S: Final = 0.2
"""Seconds of letters in one step of a job with a rate."""

LOOK_EVERY_S: Final = 1.0
"""Seconds between two looks for jobs that somebody left behind."""

INDEX_EVERY_S: Final = 10.0
"""Seconds after which the index is brought up to date though nobody asks: then nobody waits."""

log = logger(__name__)


async def start_job(  # noqa: PLR0913 - one for each thing that a person may say
    replays: Replays,
    wanted: Filter,
    ids: Sequence[str],
    *,
    named: bool,
    rate: float,
    force: bool,
    expected: int | None,
    who: Who,
) -> Job:
    """Write down a job for letters that are there now.

    Args:
        replays: Where jobs are.
        wanted: The filter.
        ids: The letters that are meant and there, oldest first.
        named: Whether a person named them, so that the job must keep the ids.
        rate: Letters a second; 0: as fast as Redis takes them.
        force: Expired letters, too.
        expected: How many letters the person saw, if any number was said.
        who: Who asks for it.

    Raises:
        CountChanged: When it is another number.
        BusUnavailable: When Redis does not answer, or is full.
    """
    if expected is not None and expected != len(ids):
        raise CountChanged(len(ids))
    now_ms = time.time_ns() // 1_000_000
    now = time_of(now_ms * 1000)
    name = f"{now_ms}-{secrets.token_hex(4)}"
    job = Job(
        job=name,
        state="running",
        wanted=wanted,
        ids=tuple(ids) if named else None,
        rate=rate,
        force=force,
        total=len(ids),
        until=ids[-1] if ids else "0-0",
        who=who.name,
        created_at=now,
        updated_at=now,
    )
    what = {"job": name, "filter": wanted, "rate": rate} | ({"ids": list(ids)} if named else {})
    deed = Deed(who=who, at=now, action="replay_many", count=len(ids), what=what)
    await replays.start(job, deed, now_ms)
    return job


async def run_job(  # noqa: PLR0913 - what a job needs
    job: Job,
    replays: Replays,
    letters: DeadLetters,
    who: Who,
    owner: str,
    *,
    told: Callable[[int], None] = lambda _: None,
) -> None:
    """Put the letters of a job back, from where it stopped to its end.

    Returns early, and leaves it running, when somebody else runs it or has ended it.

    Args:
        job: As it was read last.
        replays: Where jobs are.
        letters: Where letters are.
        who: What the audit says of the end.
        owner: Tells who runs jobs here from others.
        told: Is told how many letters each step has settled.

    Raises:
        BusUnavailable: When Redis does not answer, or is full; run it again, nothing is lost.
    """
    started, settled = time.monotonic(), 0
    async for some in _parts(job, letters):
        now_us = time.time_ns() // 1000
        step = await replays.step(job, some, owner, time_of(now_us), now_us // 1000)
        if step.state != "running":
            return
        letters.index.forget(one for one in some if one not in step.expired)
        settled += len(some)
        told(len(some))
        if job.rate:
            await asyncio.sleep(max(0.0, started + settled / job.rate - time.monotonic()))
    await end_job(job, replays, "done", who)


async def end_job(job: Job, replays: Replays, state: State, who: Who, error: str = "") -> bool:
    """End a job, and say so in the audit; return whether it ran.

    Raises:
        BusUnavailable: When Redis does not answer.
    """
    now = time_of(time.time_ns() // 1000)
    deed = Deed(who=who, at=now, action=f"replay_{state}", count=0, what={"job": job.job})
    return await replays.end(job, state, deed, error)


async def _parts(job: Job, letters: DeadLetters) -> AsyncIterator[list[str]]:
    """The ids of the letters that are to do, oldest first, as many as one step takes."""
    size = max(1, min(STEP, round(job.rate * STEP_S))) if job.rate else STEP
    cursor = job.cursor
    if job.ids is not None or job.wanted.text is not None:
        ids = await letters.ids(job.wanted, after=cursor, until=job.until)
        if job.ids is not None:
            named = set(job.ids)
            ids = [one for one in ids if one in named]
        for start in range(0, len(ids), size):
            yield ids[start : start + size]
        return
    table = await letters.index.fresh()
    while some := list(islice(table.ids(job.wanted, after=cursor, until=job.until), size)):
        yield some
        cursor = some[-1]


class Runner:
    """Runs every job that nobody else runs; after a restart those that were left behind.

    Args:
        bus: Where jobs are.
        letters: Where letters are.
        who: What the audit says of their end.
        owner: Name of this worker; the same again after a restart.
    """

    def __init__(self, bus: Bus, letters: DeadLetters, who: Who, owner: str) -> None:
        self._replays = Replays(bus)
        self._letters = letters
        self._who = who
        self._owner = owner
        self._mine: dict[str, asyncio.Task[None]] = {}
        self._wake = asyncio.Event()

    def look(self) -> None:
        """Look for jobs at once: one was just started."""
        self._wake.set()

    async def keep_running(self, stop: asyncio.Event) -> None:
        """Run jobs until `stop` is set; what is not done then is done after the next start."""
        indexed = -INDEX_EVERY_S
        try:
            while not stop.is_set():
                self._wake.clear()
                with suppress(BusUnavailable):
                    for job in await self._replays.running():
                        self._take(job)
                    if time.monotonic() - indexed > INDEX_EVERY_S:
                        await self._letters.index.fresh()
                        indexed = time.monotonic()
                await _either(self._wake, stop, LOOK_EVERY_S)
        finally:
            for task in self._mine.values():
                task.cancel()
            await asyncio.gather(*self._mine.values(), return_exceptions=True)

    def _take(self, job: Job) -> None:
        if job.job not in self._mine:
            self._mine[job.job] = asyncio.create_task(self._run(job))
            self._mine[job.job].add_done_callback(lambda _: self._mine.pop(job.job, None))

    async def _run(self, job: Job) -> None:
        try:
            await run_job(job, self._replays, self._letters, self._who, self._owner)
        except BusUnavailable as error:
            log.warning("a replay waits", job=job.job, error=str(error))
            await asyncio.sleep(LOOK_EVERY_S)
        except PipelineError as error:
            log.error("a replay failed", job=job.job, error=str(error))  # noqa: TRY400 - it says all
            with suppress(PipelineError):  # then it is taken up again
                await end_job(job, self._replays, "failed", self._who, str(error))


async def _either(event: asyncio.Event, stop: asyncio.Event, timeout_s: float) -> None:
    """Wait until one of them is set, or so long."""
    waiting = asyncio.create_task(event.wait())
    try:
        pausing = asyncio.create_task(pause(stop, timeout_s))
        await asyncio.wait({waiting, pausing}, return_when=asyncio.FIRST_COMPLETED)
        pausing.cancel()
    finally:
        waiting.cancel()

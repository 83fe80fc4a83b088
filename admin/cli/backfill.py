"""`habus backfill`."""

import asyncio
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from admin.cli import show
from admin.cli.at_desk import with_bus
from admin.cli.when import time_of
from admin.config import Settings
from admin.names import is_name
from admin.who import who_types
from common.bus import INGEST, Audit, BackfillJob, Backfills, Bus, Deed
from common.errors import InvalidSetting
from common.event import format_time
from common.heartbeat import read_pulses

LOOK_EVERY_S: Final = 0.5
"""Seconds between two looks how far it is."""


def ask(
    since: str | None, until: str | None, entities: Sequence[str], *, wait: bool, as_json: bool
) -> int:
    """Ask for a time, and wait until it is done; return 1 when something could not be had.

    Raises:
        InvalidSetting: When a time or an entity is none.
    """
    now = datetime.now(UTC)
    start, end = time_of(since, now, "--from"), time_of(until, now, "--to") or now
    if start is None:
        raise InvalidSetting("--from: say from when on, as --from 2h or --from 2026-11-20T15:00Z")
    if end <= start:
        raise InvalidSetting("--to: must be later than --from")
    for name in entities:
        if not is_name(name):
            raise InvalidSetting(f"--entity: {name!r} is neither an entity id nor a pattern of ids")

    async def call(bus: Bus, _: Settings) -> BackfillJob:
        jobs = Backfills(bus)
        names = [name.lower() for name in entities]
        job = await jobs.ask(format_time(start), format_time(end), names, format_time(now))
        what = {"job": job.id, "from": job.start, "to": job.end, "entities": names}
        deed = Deed(who=who_types(), at=job.asked_at, action="backfill", count=1, what=what)
        await Audit(bus).add(deed)
        if not wait:
            return job
        await _tell_what_it_waits_for(bus, jobs, job)
        return await _watched(jobs, job)

    job = with_bus(call)
    if as_json:
        show.as_json(job)
    elif not wait:
        show.line(f"Asked for it; `habus backfill --list` shows how far {job.id} is.")
    else:
        show.line(f"{show.number(job.recovered)} events were not there before.")
        print_gaps(job)
    return 1 if job.error or job.gaps else 0


def listed(*, as_json: bool) -> None:
    """Print every request, newest first."""

    async def call(bus: Bus, _: Settings) -> list[BackfillJob]:
        return await Backfills(bus).list()

    jobs = with_bus(call)
    if as_json:
        show.as_json({"backfills": jobs})
        return
    rows = (
        (
            *(job.id, job.state, f"{job.progress:.0%}", job.start, job.end),
            *(", ".join(job.entities) or "all", job.recovered, len(job.gaps), job.error),
        )
        for job in jobs
    )
    columns = ("id", "state", "done#", "from", "to", "entities", "recovered#", "gaps#", "error")
    show.table(columns, rows, "Nobody asked for anything.")


def cancel(job_id: str, *, as_json: bool) -> None:
    """Forget a request.

    Raises:
        BackfillNotFound: When there is none of this name.
    """

    async def call(bus: Bus, _: Settings) -> BackfillJob:
        return await Backfills(bus).cancel(job_id)

    job = with_bus(call)
    if as_json:
        show.as_json(job)
    else:
        show.line(f"{job.id} is forgotten; what it fetched stays.")


def print_gaps(job: BackfillJob) -> None:
    """Print what could not be had, and why."""
    if job.error:
        show.line(job.error)
    for gap in job.gaps:
        names = gap["entities"]
        who = names if isinstance(names, str) else ", ".join(names)
        show.line(f"Missing from {gap['from']} to {gap['to']} ({gap['reason']}): {who}")


async def _tell_what_it_waits_for(bus: Bus, jobs: Backfills, job: BackfillJob) -> None:
    before = [one for one in await jobs.list() if one.state != "done" and one.id != job.id]
    if not await read_pulses(bus, INGEST):
        sys.stderr.write("habus: no ingest is alive: it begins when one is\n")
    elif before:
        sys.stderr.write(f"habus: requests that are done before it: {len(before)}\n")


async def _watched(jobs: Backfills, job: BackfillJob) -> BackfillJob:
    """Show how far it is until it is done."""
    from rich.console import Console  # noqa: PLC0415 - slow to load
    from rich.progress import Progress  # noqa: PLC0415

    with Progress(console=Console(stderr=True), disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task("Fetching", total=1.0)
        while job.state != "done":
            await asyncio.sleep(LOOK_EVERY_S)
            job = await jobs.get(job.id)
            bar.update(task, completed=job.progress)
    return job

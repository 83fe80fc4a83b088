"""`habus dead`: replay, purge, export, jobs, cancel: what concerns many letters."""

import asyncio
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import typer

from admin.cli import show as out
from admin.cli.at_desk import with_bus
from admin.cli.dead_letters import checked, filter_of
from admin.cli.events import object_of
from admin.cli.options import Wanted
from admin.config import Settings
from admin.exported import CSV_HEAD, csv_of, ndjson_of
from admin.jobs import end_job, run_job, start_job
from admin.replay import replay_one
from admin.who import who_types
from common.bus import Audit, Bus, DeadLetters, Deed, Filter, Job, Replays
from common.errors import DeadLetterNotFound, InvalidSetting
from common.event import format_time

AT_ONCE: Final = 500
"""Letters that are read in one go, and above which a bar shows how far it is."""

LOOK_AGAIN_S: Final = 0.3
"""Seconds between two looks at a job that the admin runs."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Which letters a command is for: those named, or those of a filter."""

    ids: list[str]
    wanted: Wanted
    every: bool
    yes: bool
    dry: bool

    def check(self) -> Filter:
        """Refuse to guess.

        Raises:
            InvalidSetting: When nothing is chosen, or two things at once.
        """
        has_filter = self.wanted != Wanted()
        if not (self.ids or has_filter or self.every):
            raise InvalidSetting("say which letters: ids, a filter as --reason, or --all")
        if self.ids and (has_filter or self.every):
            raise InvalidSetting("name letters or choose them by options, not both")
        return filter_of(self.wanted)

    async def letters(self, letters: DeadLetters, deed: str) -> list[str]:
        """Ids of the chosen letters that are there, oldest first, once the person agrees.

        Raises:
            InvalidSetting: When there is nobody who could agree.
            DeadLetterNotFound: When the one letter that was named is not there (any more).
        """
        named = [checked(letter_id) for letter_id in self.ids] or None
        ids = await letters.chosen(filter_of(self.wanted), named)
        if named and len(named) == 1 and not ids:
            raise DeadLetterNotFound(f"there is no dead letter {named[0]} (any more)")
        if ids and not self.yes and not self.dry:
            if not sys.stdin.isatty():
                raise InvalidSetting(f"{deed} {len(ids)} dead letters? Add --yes to do it unasked")
            typer.confirm(f"{deed} {len(ids)} dead letters?", abort=True)
        return ids


def replay(choice: Choice, data: str | None, *, rate: float, force: bool, as_json: bool) -> None:
    """Put letters back where they fell, after a question when there are many.

    Raises:
        InvalidSetting: When nothing, or no one letter for the data, is chosen.
        DeadLetterNotFound: When the one letter that was named is not there (any more).
    """
    wanted = choice.check()
    if data is not None and len(choice.ids) != 1:
        raise InvalidSetting("--data is for one letter; name it")
    if len(choice.ids) == 1 and not choice.dry:
        _replay_one(checked(choice.ids[0]), data, force=force, as_json=as_json)
        return

    async def put_back(bus: Bus, _: Settings) -> tuple[int, Job | None]:
        letters = DeadLetters(bus)
        ids = await choice.letters(letters, "Replay")
        if choice.dry or not ids:
            return len(ids), None
        with _progress("replaying", len(ids)) as told:
            job = await start_job(
                *(Replays(bus), wanted, ids),
                named=bool(choice.ids),
                rate=rate,
                force=force,
                expected=None,
                who=who_types(),
            )
            return len(ids), await _to_its_end(job, Replays(bus), letters, told)

    count, job = with_bus(put_back)
    if as_json:
        out.as_json({"count": count, "dry_run": True} if choice.dry else job or {"replayed": 0})
    elif choice.dry:
        out.line(f"{count} dead letters match.")
    else:
        gone = len(choice.ids) - count if choice.ids else 0
        gone += job.gone if job else 0
        expired = job.expired if job else 0
        out.line(
            f"Replayed {job.replayed if job else 0}."
            + (f" {gone} were gone already." if gone else "")
            + (f" {expired} are expired and stay; see --force." if expired else "")
        )


def purge(choice: Choice, *, as_json: bool) -> None:
    """Delete letters for good, after a question.

    Raises:
        InvalidSetting: When nothing is chosen.
    """
    wanted = choice.check()

    async def delete(bus: Bus, _: Settings) -> tuple[int, int]:
        letters = DeadLetters(bus)
        ids = await choice.letters(letters, "Delete for good")
        if choice.dry:
            return len(ids), 0
        what = {"ids": choice.ids} if choice.ids else {"filter": wanted}
        deed = Deed(who=who_types(), at=_now(), action="purge", count=len(ids), what=what)
        return len(ids), await letters.purge(ids, deed)

    count, purged = with_bus(delete)
    if as_json:
        out.as_json({"count": count, "purged": purged, "dry_run": choice.dry})
    else:
        out.line(f"{count} dead letters match." if choice.dry else f"Purged {purged}.")


def export(wanted: Wanted, output: Path | None, *, as_csv: bool) -> None:
    """Write letters as JSON lines or CSV, oldest first.

    Raises:
        InvalidSetting: When the file cannot be written.
    """
    chosen = filter_of(wanted)

    async def write(bus: Bus, _: Settings) -> int:
        letters = DeadLetters(bus)
        ids = await letters.ids(chosen)
        what = {"filter": chosen, "format": "csv" if as_csv else "ndjson"}
        deed = Deed(who=who_types(), at=_now(), action="export", count=len(ids), what=what)
        await Audit(bus).add(deed)
        line_of = csv_of if as_csv else ndjson_of
        with _file(output) as put, _progress("exporting", len(ids) if output else 0) as told:
            put(CSV_HEAD if as_csv else b"")
            for start in range(0, len(ids), AT_ONCE):
                some = ids[start : start + AT_ONCE]
                put(b"".join(map(line_of, await letters.fetch(some))))
                told(len(some))
        return len(ids)

    count = with_bus(write)
    if output:
        out.line(f"Exported {count} to {output}.")


def jobs(limit: int, *, as_json: bool) -> None:
    """Print replay jobs, newest first."""

    async def ask(bus: Bus, _: Settings) -> list[Job]:
        return await Replays(bus).newest(limit)

    found = with_bus(ask)
    if as_json:
        out.as_json({"replays": found})
        return
    rows = (
        (
            *(job.job, job.created_at[:19], job.state, job.total, job.replayed, job.gone),
            *(job.expired, job.left, job.who),
        )
        for job in found
    )
    columns = ("job", "started", "state", "letters#", "replayed#", "gone#", "expired#", "left#")
    out.table((*columns, "who"), rows, "There was no replay of many letters.")


def cancel(job: str) -> None:
    """Cancel a replay job.

    Raises:
        ReplayNotFound: When there is none of this name.
    """

    async def end(bus: Bus, _: Settings) -> tuple[bool, Job]:
        replays = Replays(bus)
        found = await replays.get(job)
        return await end_job(found, replays, "cancelled", who_types()), await replays.get(job)

    ended, found = with_bus(end)
    said = "Cancelled" if ended else f"It had ended already ({found.state})"
    out.line(f"{said}; {found.replayed} of {found.total} were replayed.")


def _replay_one(letter_id: str, data: str | None, *, force: bool, as_json: bool) -> None:
    edited = None if data is None else object_of(data)

    async def put_back(bus: Bus, _: Settings) -> tuple[str, str]:
        who = who_types()
        letters = DeadLetters(bus)
        return await replay_one(letters, letter_id, edited, who=who, at=_now(), force=force)

    stream, entry_id = with_bus(put_back)
    if as_json:
        out.as_json({"success": True, "stream": stream, "stream_id": entry_id})
    else:
        out.line("Replayed 1.")


async def _to_its_end(
    job: Job, replays: Replays, letters: DeadLetters, told: Callable[[int], None]
) -> Job:
    """Run a job, or watch it while the admin runs it; whoever types Ctrl-C cancels it."""
    name = f"{who_types().name}@{who_types().address}:{job.job}"
    done = 0

    def settled(count: int) -> None:
        nonlocal done
        done += count
        told(count)

    try:
        while True:
            now = await replays.get(job.job)
            await run_job(now, replays, letters, who_types(), name, told=settled)
            found = await replays.get(job.job)
            settled(found.total - found.left - done)  # by whoever else ran it
            if found.state != "running":
                return found
            await asyncio.sleep(LOOK_AGAIN_S)
    except asyncio.CancelledError:
        await end_job(job, replays, "cancelled", who_types())
        raise


@contextmanager
def _progress(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """Yield what is told of each part; on a terminal a bar shows it."""
    if not sys.stdout.isatty() or total < AT_ONCE:
        yield lambda _: None
        return
    from rich.progress import Progress  # noqa: PLC0415 - slow to load

    with Progress(transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda count: bar.update(task, advance=count)


@contextmanager
def _file(path: Path | None) -> Iterator[Callable[[bytes], object]]:
    """Yield what writes bytes: to a file that only its owner can read, or to standard output."""
    if path is None:
        yield lambda part: sys.stdout.write(part.decode("utf-8", "replace"))
        sys.stdout.flush()
        return
    try:
        path.touch(mode=0o600)
        with path.open("wb") as file:
            yield file.write
    except OSError as error:
        raise InvalidSetting(f"--output: cannot write {path}: {error.strerror}") from error


def _now() -> str:
    return format_time(datetime.now(UTC))

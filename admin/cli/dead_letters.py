"""`habus dead`: list, show, replay, purge."""

import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import typer

from admin.cli import show as out
from admin.cli.at_desk import with_bus
from admin.cli.when import time_of
from admin.config import Settings
from admin.replay import replay_one
from admin.who import who_types
from common.bus import Bus, DeadLetter, DeadLetters, Filter
from common.errors import DeadLetterNotFound, InvalidSetting, MalformedEvent
from common.event import format_time

ERROR_WIDTH: Final = 80
"""Characters of an error in the table."""

AT_ONCE: Final = 500
"""Letters that are purged in one go."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Which letters a command is for: those named, or those of a filter."""

    ids: list[str]
    wanted: Filter
    every: bool
    yes: bool

    def check(self) -> None:
        """Refuse to guess.

        Raises:
            InvalidSetting: When nothing is chosen, or two things at once.
        """
        has_filter = self.wanted != Filter()
        if not (self.ids or has_filter or self.every):
            raise InvalidSetting("say which letters: ids, a filter as --reason, or --all")
        if self.ids and (has_filter or self.every):
            raise InvalidSetting("name letters or choose them by options, not both")


def filter_of(  # noqa: PLR0913, PLR0917 - a filter has as many sides
    stage: str | None,
    reason: str | None,
    entity: str | None,
    fingerprint: str | None,
    text: str | None,
    since: str | None,
    until: str | None,
) -> Filter:
    """Make a filter of the options of a command.

    Raises:
        InvalidSetting: When a time cannot be read.
    """
    now = datetime.now(UTC)
    start, end = time_of(since, now, "--since"), time_of(until, now, "--until")
    return Filter(
        stage=stage,
        reason=reason,
        entity_id=entity,
        fingerprint=fingerprint,
        text=text,
        since=format_time(start) if start else None,
        until=format_time(end) if end else None,
    )


def listed(wanted: Filter, limit: int, *, as_json: bool) -> None:
    """Print the newest letters that match."""

    async def ask(bus: Bus, _: Settings) -> list[DeadLetter]:
        return await DeadLetters(bus).page(wanted, limit)

    found = with_bus(ask)
    if as_json:
        out.as_json({"dead_letters": found})
        return
    rows = (
        (
            letter.id,
            letter.at[:19],
            letter.stage,
            letter.reason,
            letter.fields.get("entity_id") or letter.fields.get("type"),
            letter.error[:ERROR_WIDTH],
        )
        for letter in found
    )
    columns = ("id", "buried at", "stage", "reason", "entity", "error")
    out.table(columns, rows, "There is no dead letter.")


def show(letter_id: str, *, as_json: bool) -> None:
    """Print one letter with all that is known.

    Raises:
        DeadLetterNotFound: When it is not there (any more).
    """

    async def ask(bus: Bus, _: Settings) -> DeadLetter:
        return await DeadLetters(bus).get(_checked(letter_id))

    letter = with_bus(ask)
    if as_json:
        out.as_json(letter)
        return
    about = ("id", "stage", "reason", "error", "at", "origin", "origin_id", "deliveries", "worker")
    for name in (*about, "fingerprint"):
        out.line(f"{name + ':':<13}{getattr(letter, name)}")
    for title, text in (("detail", letter.detail), *letter.fields.items()):
        out.line(f"\n{title}:")
        for line in _pretty(text):
            out.line(f"  {line}")


def replay(choice: Choice, data: str | None) -> None:
    """Put letters back where they fell, after a question when there are many.

    Raises:
        InvalidSetting: When nothing, or no one letter for the data, is chosen.
        DeadLetterNotFound: When the one letter that was named is not there (any more).
    """
    choice.check()
    if data is not None and len(choice.ids) != 1:
        raise InvalidSetting("--data is for one letter; name it")
    edited = None if data is None else _object(data)

    async def put_back(bus: Bus, _: Settings) -> tuple[int, int]:
        letters = DeadLetters(bus)
        ids = await _chosen(letters, choice, "Replay")
        done = 0
        for letter_id in _with_progress(ids):
            try:
                await replay_one(
                    letters, letter_id, edited, who=who_types(), at=format_time(datetime.now(UTC))
                )
            except DeadLetterNotFound:
                if len(choice.ids) == 1:
                    raise
            else:
                done += 1
        return done, len(ids) - done

    done, gone = with_bus(put_back)
    out.line(f"Replayed {done}." + (f" {gone} were gone already." if gone else ""))


def purge(choice: Choice) -> None:
    """Delete letters for good, after a question.

    Raises:
        InvalidSetting: When nothing is chosen.
    """
    choice.check()

    async def delete(bus: Bus, _: Settings) -> int:
        letters = DeadLetters(bus)
        ids = await _chosen(letters, choice, "Delete for good")
        parts = [ids[start : start + AT_ONCE] for start in range(0, len(ids), AT_ONCE)]
        return sum([await letters.purge(part) for part in parts])

    out.line(f"Purged {with_bus(delete)}.")


async def _chosen(letters: DeadLetters, choice: Choice, deed: str) -> list[str]:
    """Ids of the chosen letters, oldest first, once the person agrees."""
    if choice.ids:
        ids = [_checked(letter_id) for letter_id in choice.ids]
    else:
        ids = [letter.id async for letter in letters.matching(choice.wanted)][::-1]
    if ids and not choice.yes and not (len(choice.ids) == 1 and deed == "Replay"):
        if not sys.stdin.isatty():
            raise InvalidSetting(f"{deed} {len(ids)} dead letters? Add --yes to do it unasked")
        typer.confirm(f"{deed} {len(ids)} dead letters?", abort=True)
    return ids


def _with_progress(ids: list[str]) -> Iterable[str]:
    """The ids, with a bar on a terminal."""
    if not sys.stdout.isatty() or len(ids) < AT_ONCE:
        return ids
    from rich.progress import track  # noqa: PLC0415 - slow to load

    return track(ids, "replaying", transient=True)


def _checked(letter_id: str) -> str:
    ms, _, number = letter_id.partition("-")
    if not (ms.isdecimal() and number.isdecimal()):
        raise DeadLetterNotFound(f"{letter_id!r} is no id of a dead letter; see habus dead list")
    return letter_id


def _object(text: str) -> dict[str, object]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidSetting(f"--data: no JSON: {error}") from error
    if not isinstance(found, dict):
        raise MalformedEvent("--data: must be a JSON object")
    return found


def _pretty(text: str) -> Iterator[str]:
    """The lines of a text; of JSON those that people can read."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = text
    if isinstance(found, dict | list):
        text = json.dumps(found, ensure_ascii=False, indent=2)
        text = text.replace("\\n", "\n    ")
    yield from text.splitlines()

"""`habus dead`: list, groups, show."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

import msgspec

from admin.cli import show as out
from admin.cli.at_desk import with_bus
from admin.cli.options import Wanted
from admin.cli.when import time_of
from admin.config import Settings
from admin.hints import hint
from common.bus import Audit, Bus, DeadLetter, DeadLetters, Filter, Group, Line
from common.errors import DeadLetterNotFound, InvalidSetting
from common.event import format_time

_LINE_BREAK: Final = re.compile(r"(?<!\\)((?:\\\\)*)\\n")
"""As JSON writes it: a backslash that none before it takes for its own, and an n."""

ERROR_WIDTH: Final = 80
"""Characters of an error in the table."""


def filter_of(wanted: Wanted) -> Filter:
    """Make a filter of the options of a command.

    Raises:
        InvalidSetting: When a time cannot be read, or there is no such stage.
    """
    if wanted.stage not in {None, "ingest", "enrich", "store"}:
        raise InvalidSetting(f"there is no stage {wanted.stage!r}: ingest, enrich or store")
    now = datetime.now(UTC)
    since = time_of(wanted.since, now, "--since")
    until = time_of(wanted.until, now, "--until")
    return Filter(
        stage=wanted.stage,
        reason=wanted.reason,
        entity_id=wanted.entity,
        fingerprint=wanted.fingerprint,
        text=wanted.text,
        since=format_time(since) if since else None,
        until=format_time(until) if until else None,
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
    out.table(columns, rows, _none(wanted))


def groups(wanted: Filter, *, as_json: bool) -> None:
    """Print how many letters there are of each cause, and what to do."""

    async def ask(bus: Bus, _: Settings) -> tuple[list[Group], list[DeadLetter]]:
        letters = DeadLetters(bus)
        found = await letters.groups(wanted)
        return found, await letters.fetch(group.last_id for group in found)

    found, newest = with_bus(ask)
    errors = {letter.id: letter.error for letter in newest}
    if as_json:
        out.as_json(
            {
                "groups": [
                    msgspec.structs.asdict(group.cause)
                    | {"count": group.count, "first_at": group.first_at, "last_at": group.last_at}
                    | {"error": errors.get(group.last_id, ""), "hint": hint(group.cause.reason)}
                    for group in found
                ]
            }
        )
        return
    rows = (
        (
            group.cause.fingerprint,
            group.count,
            group.cause.stage,
            group.cause.reason,
            (group.last_at or "")[:19],
            errors.get(group.last_id, "")[:ERROR_WIDTH],
        )
        for group in found
    )
    columns = ("fingerprint", "letters#", "stage", "reason", "last buried", "error")
    out.table(columns, rows, _none(wanted))
    for reason in dict.fromkeys(group.cause.reason for group in found):
        out.blank()
        out.line(f"{reason}: {hint(reason)}")


def show(letter_id: str, *, as_json: bool) -> None:
    """Print one letter with all that is known.

    Raises:
        DeadLetterNotFound: When it is not there (any more).
    """

    async def ask(bus: Bus, _: Settings) -> tuple[DeadLetter, list[Line]]:
        letter = await DeadLetters(bus).get(checked(letter_id))
        return letter, list(await Audit(bus).of_event(letter.fields.get("id", "")))

    letter, history = with_bus(ask)
    if as_json:
        more = {"expired": letter.is_expired, "hint": hint(letter.reason), "history": history}
        out.as_json({**msgspec.structs.asdict(letter), **more})
        return
    about = ("id", "stage", "reason", "error", "at", "origin", "origin_id", "deliveries", "worker")
    for name in (*about, "fingerprint", "replays"):
        out.line(f"{name + ':':<13}{getattr(letter, name)}")
    out.line(f"{'what to do:':<13}{hint(letter.reason)}")
    for line in history:
        out.line(f"{line.at[:19]}  {line.action} by {line.who} ({line.via} {line.address})")
    for title, text in (("detail", letter.detail), *letter.fields.items()):
        out.blank()
        out.line(f"{title}:")
        for line_of_text in _pretty(text) if title == "data" else _broken(text):
            out.line(f"  {line_of_text}")


def _none(wanted: Filter) -> str:
    return "There is no dead letter." if wanted == Filter() else "No dead letter matches."


def checked(letter_id: str) -> str:
    """Return what was typed when it can be an id.

    Raises:
        DeadLetterNotFound: When it cannot.
    """
    ms, _, number = letter_id.partition("-")
    if not (ms.isdecimal() and number.isdecimal()):
        raise DeadLetterNotFound(f"{letter_id!r} is no id of a dead letter; see habus dead list")
    return letter_id


def _pretty(text: str) -> Iterator[str]:
    """The lines of a text; of JSON those that people can read, and hand in again."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = text
    if isinstance(found, dict | list):
        text = json.dumps(found, ensure_ascii=False, indent=2)
    yield from text.splitlines()


def _broken(text: str) -> Iterator[str]:
    """The same, and what is a line break within a string breaks the line: a traceback has many."""
    for line in _pretty(text):
        yield from _LINE_BREAK.sub(r"\1\n    ", line).splitlines()

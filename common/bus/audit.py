"""The audit: a line for everything that a person did to dead letters."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from common.bus.connection import Bus
from common.bus.entry import Field, number

MOST_LINES: Final = 10_000
"""Lines that are kept, about; the oldest go first."""


class Who(msgspec.Struct, frozen=True):
    """Who does something.

    Attributes:
        name: `token`, `session`, or the user of the command line.
        via: `rest`, `page`, `cli` or `habus`, which is habus itself.
        address: Network address, or host name.
    """

    name: str
    via: str
    address: str


class Deed(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody did.

    Attributes:
        at: ISO 8601 in UTC.
        action: `replay`, `replay_edited`, `replay_many`, `replay_done`, `purge`, `export`…
        count: Letters it was for.
        what: Ids, filter, job, and whatever else says which letters.
        original: The `data` that an edit replaced; None where nothing was edited.
    """

    who: Who
    at: str
    action: str
    count: int
    what: Mapping[str, Any] = {}
    original: str | None = None


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the audit, as it stands there."""

    id: str
    at: str
    who: str
    via: str
    address: str
    action: str
    count: int
    what: Any
    original: str | None = None


def flat_of(deed: Deed) -> list[Field]:
    """Flat fields of the deed's line."""
    flat: list[Field] = [
        *("at", deed.at),
        *("who", deed.who.name),
        *("via", deed.who.via),
        *("address", deed.who.address),
        *("action", deed.action),
        *("count", deed.count),
        *("what", msgspec.json.encode(deed.what)),
    ]
    return flat if deed.original is None else [*flat, "original", deed.original]


class Audit:
    """The stream `audit` of one pipeline.

    Args:
        bus: Where it is.
    """

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def add(self, deed: Deed) -> None:
        """Write a line about something that has no script of its own.

        Raises:
            BusUnavailable: When Redis does not answer, or is full.
        """
        key = self._bus.keys.audit
        await self._bus.command("XADD", key, "MAXLEN", "~", MOST_LINES, "*", *flat_of(deed))

    async def newest(self, limit: int, before: str | None = None) -> list[Line]:
        """Return lines, newest first; with `before` those older than that line.

        Raises:
            BusUnavailable: When Redis does not answer.
        """
        highest = f"({before}" if before else "+"
        key = self._bus.keys.audit
        rows = await self._bus.command("XREVRANGE", key, highest, "-", "COUNT", limit)
        return [_line(entry_id, fields) for entry_id, fields in rows]

    async def of_event(self, event_id: str) -> Sequence[Line]:
        """Return the lines in which this event is named, newest first.

        Raises:
            BusUnavailable: When Redis does not answer.
        """
        lines = await self.newest(MOST_LINES) if event_id else []
        return [
            line
            for line in lines
            if isinstance(line.what, dict) and line.what.get("event_id") == event_id
        ]


def _line(entry_id: bytes, fields: Mapping[bytes, bytes]) -> Line:
    text = {n.decode("utf-8", "replace"): v.decode("utf-8", "replace") for n, v in fields.items()}
    try:
        what = msgspec.json.decode(text.get("what", "{}"))
    except (msgspec.DecodeError, RecursionError):
        what = {}
    return Line(
        id=entry_id.decode(),
        at=text.get("at", ""),
        who=text.get("who", ""),
        via=text.get("via", ""),
        address=text.get("address", ""),
        action=text.get("action", ""),
        count=number(text.get("count")),
        what=what,
        original=text.get("original"),
    )

"""What must be known of every dead letter to group and to find them: some 40 bytes each."""

from array import array
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import compress
from typing import Final

import msgspec

from common.bus.dead_letter import Filter
from common.bus.entry import position_of
from common.errors import MalformedEvent
from common.event import microseconds, normal_time, time_of

NEVER: Final = -1
"""Stands for a time that cannot be read; every other time is later."""

COMPACT_AT: Final = 1000
"""Rows of letters that are gone, above which they are cleared away once they are the most."""


class Cause(msgspec.Struct, frozen=True):
    """What letters of one group have in common."""

    fingerprint: str
    stage: str
    reason: str


class Group(msgspec.Struct, frozen=True):
    """Letters of one cause.

    Attributes:
        first_at: When the oldest was buried, ISO 8601; None where it does not say.
        last_id: Entry id of the newest.
    """

    cause: Cause
    count: int
    first_id: str
    last_id: str
    first_at: str | None
    last_at: str | None


class LetterTable:
    """The letters by entry id: cause, entity and time of each, in arrays."""

    def __init__(self) -> None:
        self._ms = array("Q")
        self._sequence = array("Q")
        self._at = array("q")
        self._cause = array("I")
        self._entity = array("I")
        self._there = bytearray()
        self._gone = 0
        self._causes: dict[Cause, int] = {}
        self._entities: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._ms) - self._gone

    @property
    def last_id(self) -> str:
        """The newest entry id that was ever added; `0-0` before."""
        return self._id(len(self._ms) - 1) if self._ms else "0-0"

    def add(self, entry_id: str, cause: Cause, entity_id: str, at: str) -> None:
        """Add a letter that is newer than all others."""
        ms, sequence = position_of(entry_id)
        self._ms.append(ms)
        self._sequence.append(sequence)
        self._at.append(_us(at))
        self._cause.append(self._causes.setdefault(cause, len(self._causes)))
        self._entity.append(self._entities.setdefault(entity_id, len(self._entities)))
        self._there.append(1)

    def drop(self, entry_ids: Iterable[str]) -> None:
        """Forget letters that are gone; those that are not known are passed over."""
        for entry_id in entry_ids:
            row = self._row(entry_id)
            if row < len(self._ms) and self._id(row) == entry_id and self._there[row]:
                self._there[row] = 0
                self._gone += 1
        self._tidy()

    def drop_before(self, entry_id: str) -> None:
        """Forget every letter older than this one."""
        row = self._row(entry_id)
        self._gone += self._there.count(1, 0, row)
        self._there[:row] = bytes(row)
        self._tidy()

    def keep(self, entry_ids: set[str]) -> None:
        """Forget every letter that is none of these."""
        self.drop([entry_id for entry_id in self.ids(Filter()) if entry_id not in entry_ids])

    def ids(
        self, wanted: Filter, *, after: str | None = None, until: str | None = None
    ) -> Iterator[str]:
        """Entry ids of letters that match but for the text, oldest first; take them at once.

        Args:
            wanted: The filter; its text is not looked at, and its times are as events have them.
            after: Only letters newer than this one.
            until: Only this letter and older ones.
        """
        start = self._row(after, after=True) if after else 0
        end = self._row(until, after=True) if until else len(self._ms)
        return map(self._id, self._rows(wanted, range(start, end)))

    def ids_before(self, wanted: Filter, before: str | None = None) -> Iterator[str]:
        """The same, newest first; with `before` those older than that letter."""
        end = self._row(before) if before else len(self._ms)
        return map(self._id, self._rows(wanted, range(end - 1, -1, -1)))

    def count(self, wanted: Filter) -> int:
        """How many letters match but for the text."""
        return sum(1 for _ in self._rows(wanted, range(len(self._ms))))

    def groups(self, wanted: Filter, of: Iterable[str] | None = None) -> list[Group]:
        """Letters that match, by cause, the largest group first.

        Args:
            wanted: The filter; its text is not looked at.
            of: Only these letters, oldest first; instead of the filter.
        """
        if of is None:
            rows = array("I", self._rows(wanted, range(len(self._ms))))
        else:
            rows = array("I", map(self._row, of))
        causes = array("I", map(self._cause.__getitem__, rows))
        counts = Counter(causes)
        last = dict(zip(causes, rows, strict=True))
        first = dict(zip(reversed(causes), reversed(rows), strict=True))
        known = list(self._causes)
        return [
            Group(
                known[cause],
                count,
                self._id(first[cause]),
                self._id(last[cause]),
                _time(self._at[first[cause]]),
                _time(self._at[last[cause]]),
            )
            for cause, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        ]

    def _rows(self, wanted: Filter, rows: range) -> Iterator[int]:
        first = rows.start if rows.step > 0 else 0
        there = self._there[first : first + len(rows)]
        found: Iterable[int] = compress(rows, there if rows.step > 0 else reversed(there))
        fits = [
            wanted.stage in {None, cause.stage}
            and wanted.reason in {None, cause.reason}
            and wanted.fingerprint in {None, cause.fingerprint}
            for cause in self._causes
        ]
        if not all(fits):
            found = (row for row in found if fits[self._cause[row]])
        if wanted.entity_id is not None:
            entity = self._entities.get(wanted.entity_id, -1)
            found = (row for row in found if self._entity[row] == entity)
        if wanted.since is not None or wanted.until is not None:
            since = NEVER if wanted.since is None else _us(wanted.since)
            until = 2**63 if wanted.until is None else _us(wanted.until)
            found = (row for row in found if since <= self._at[row] < until)
        return iter(found)

    def _row(self, entry_id: str, *, after: bool = False) -> int:
        """Where the letter stands, or would stand; with `after` the row behind it."""
        ms, sequence = position_of(entry_id)
        low, high = bisect_left(self._ms, ms), bisect_right(self._ms, ms)
        bisect = bisect_right if after else bisect_left
        return bisect(self._sequence, sequence, low, high)

    def _id(self, row: int) -> str:
        return f"{self._ms[row]}-{self._sequence[row]}"

    def _tidy(self) -> None:
        """Clear away the rows of letters that are gone, but the newest, once they are the most."""
        if self._gone < max(COMPACT_AT, len(self)):
            return
        newest = len(self._ms) - 1
        kept = bytearray(self._there)
        kept[newest] = 1
        self._gone = 1 - self._there[newest]
        for name in ("_ms", "_sequence", "_at", "_cause", "_entity"):
            column: array[int] = getattr(self, name)
            setattr(self, name, array(column.typecode, compress(column, kept)))
        self._there = bytearray(compress(self._there, kept))


def _us(at: str) -> int:
    try:
        return microseconds(normal_time(at))
    except MalformedEvent:
        return NEVER


def _time(us: int) -> str | None:
    return None if us == NEVER else time_of(us)

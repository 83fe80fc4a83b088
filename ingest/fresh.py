"""The newest rows in memory too: the sender need not read what was just written."""

from collections.abc import Sequence
from typing import Final

from common.bus import Row

IN_MEMORY: Final = 15_000
"""Most rows."""

IN_MEMORY_BYTES: Final = 16 * 2**20
"""Most bytes of their data: an event can be large."""


class Fresh:
    """Rows that follow each other up to the last; none, when they would be too many.

    Attributes:
        size_bytes: What their data takes.
    """

    def __init__(self) -> None:
        self._rows: list[Row] = []
        self.size_bytes = 0

    def add(self, rows: Sequence[Row]) -> None:
        """Take in the rows that follow."""
        self._rows += rows
        self.size_bytes += _size(rows)
        if len(self._rows) > IN_MEMORY or self.size_bytes > IN_MEMORY_BYTES:
            self.forget()

    def after(self, seq: int, limit: int) -> list[Row]:
        """Rows that follow a number, and forget those up to it; none where the next is not here."""
        gone = max(0, seq + 1 - self._rows[0].seq) if self._rows else 0
        self.size_bytes -= _size(self._rows[:gone])
        del self._rows[:gone]
        return self._rows[:limit] if self._rows and self._rows[0].seq == seq + 1 else []

    def all(self) -> list[Row]:
        """Every row."""
        return list(self._rows)

    def forget(self) -> None:
        """Let all rows go: what is on the disk is read from there."""
        self._rows.clear()
        self.size_bytes = 0


def _size(rows: Sequence[Row]) -> int:
    return sum([len(row.event.data) for row in rows])

"""The newest rows in memory too: the sender need not read what was just written."""

from collections import deque
from collections.abc import Sequence
from itertools import islice
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
        self._rows: deque[Row] = deque()
        self.size_bytes = 0

    def add(self, rows: Sequence[Row]) -> None:
        """Take in the rows that follow."""
        self._rows.extend(rows)
        self.size_bytes += sum([len(row.event.data) for row in rows])
        if len(self._rows) > IN_MEMORY or self.size_bytes > IN_MEMORY_BYTES:
            self.forget()

    def after(self, seq: int, limit: int) -> list[Row]:
        """Rows that follow a number, and forget those up to it; none where the next is not here."""
        while self._rows and self._rows[0].seq <= seq:
            self.size_bytes -= len(self._rows.popleft().event.data)
        if self._rows and self._rows[0].seq == seq + 1:
            return list(islice(self._rows, limit))
        return []

    def all(self) -> list[Row]:
        """Every row."""
        return list(self._rows)

    def forget(self) -> None:
        """Let all rows go: what is on the disk is read from there."""
        self._rows.clear()
        self.size_bytes = 0

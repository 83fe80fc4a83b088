"""The index of the dead letters: follows the stream, and notices what others deleted."""

import asyncio
from collections.abc import Iterable
from typing import Final

from common.bus.connection import Bus
from common.bus.letter_table import Cause, LetterTable

AT_ONCE: Final = 1000
"""Letters read by one script: Redis serves nobody else while it runs."""

_WIDTH: Final = 6


class LetterIndex:
    """Knows every letter's cause, entity and time; never more than one look behind Redis.

    Args:
        bus: Where the letters are.
    """

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._table = LetterTable()
        self._reading = asyncio.Lock()

    async def fresh(self) -> LetterTable:
        """Return what is known, after reading what is new and forgetting what is gone.

        Raises:
            BusUnavailable: When Redis does not answer.
        """
        async with self._reading:
            length, oldest = await self._read_new()
            if len(self._table) != length and oldest:
                self._table.drop_before(oldest)
            if len(self._table) != length:
                await self._compare()
                length, _ = await self._read_new()
            if len(self._table) != length:  # another Redis, or one that went back in time
                self._table = LetterTable()
                await self._read_new()
            return self._table

    def forget(self, entry_ids: Iterable[str]) -> None:
        """Be told of letters that we deleted ourselves: then nothing must be compared."""
        self._table.drop(entry_ids)

    async def _read_new(self) -> tuple[int, str]:
        """Read what follows the newest known letter; return how many there are, and the oldest."""
        while True:
            length, oldest, *flat = await self._ask(self._table.last_id)
            for at in range(0, len(flat), _WIDTH):
                entry_id, stage, reason, fingerprint, entity_id, when = flat[at : at + _WIDTH]
                self._table.add(entry_id, Cause(fingerprint, stage, reason), entity_id, when)
            if len(flat) < AT_ONCE * _WIDTH:
                return int(length), oldest

    async def _compare(self) -> None:
        """Forget the letters that somebody else deleted."""
        last, after, there = self._table.last_id, "0-0", set[str]()
        while True:
            _, _, *ids = await self._ask(after, last)
            there.update(ids)
            if len(ids) < AT_ONCE:
                self._table.keep(there)
                return
            after = ids[-1]

    async def _ask(self, after: str, *until: str) -> list[str]:
        found = await self._bus.run("letters", [self._bus.keys.dead], after, AT_ONCE, *until)
        return [
            part.decode("utf-8", "replace") if isinstance(part, bytes) else str(part)
            for part in found
        ]

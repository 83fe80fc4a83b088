"""Dead letters: looking at them, putting one back, deleting them."""

import re
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Final

import msgspec

from common.bus.audit import Deed, flat_of
from common.bus.connection import Bus
from common.bus.dead_letter import EVERYTHING, DeadLetter, Filter, letter_from
from common.bus.entry import ENTRY_ID, Field, number
from common.bus.keys import ENRICH, STORE
from common.bus.letter_index import LetterIndex
from common.bus.letter_table import Group
from common.errors import DeadLetterNotFound

ROWS_AT_ONCE: Final = 500
"""Entries read from the stream in one go while looking for those that match."""

SCANNED_AT_MOST: Final = 2000
"""Letters read for one page while looking for a text: the answer comes soon, the cursor goes on."""

PURGED_AT_ONCE: Final = 1000
"""Letters deleted by one script: Redis serves nobody else while it runs."""


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """Some letters, newest first.

    Attributes:
        before: Ask again with it for the next page; None: this was the last.
        total: Letters there are, whatever the filter.
        matching: Letters that match, None where only reading all would tell.
        scanned: Letters read for this page.
    """

    letters: list[DeadLetter]
    before: str | None
    total: int
    matching: int | None
    scanned: int


class DeadLetters:
    """The dead letters of one pipeline; keeps an index of them, so keep it.

    Args:
        bus: Where they are.
    """

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._keys = bus.keys
        self.index = LetterIndex(bus)

    async def search(self, wanted: Filter, limit: int, before: str | None = None) -> Page:
        """Return a page of letters that match; it is empty at times when a text is rare.

        Raises:
            BusUnavailable: When Redis does not answer.
        """
        if wanted == EVERYTHING:
            total = int(await self._bus.command("XLEN", self._keys.dead))
            found = await self._newest(limit + 1, before)
            more = found[limit - 1].id if len(found) > limit else None
            return Page(
                letters=found[:limit], before=more, total=total, matching=total, scanned=len(found)
            )
        table = await self.index.fresh()
        total = len(table)
        if wanted.text is None:
            some = await self.fetch(islice(table.ids_before(wanted, before), limit + 1))
            more = some[limit - 1].id if len(some) > limit else None
            matching = table.count(wanted)
            return Page(
                letters=some[:limit], before=more, total=total, matching=matching, scanned=len(some)
            )
        candidates = list(islice(table.ids_before(wanted, before), SCANNED_AT_MOST))
        letters: list[DeadLetter] = []
        for start in range(0, len(candidates), ROWS_AT_ONCE):
            some = await self.fetch(candidates[start : start + ROWS_AT_ONCE])
            letters += filter(wanted.holds, some)
            scanned = start + len(some)
            if len(letters) > limit:
                more = letters[limit - 1].id
                break
        else:
            scanned = len(candidates)
            more = candidates[-1] if scanned == SCANNED_AT_MOST else None
        return Page(
            letters=letters[:limit], before=more, total=total, matching=None, scanned=scanned
        )

    async def matching(
        self, wanted: Filter, before: str | None = None
    ) -> AsyncIterator[DeadLetter]:
        """Letters that match, newest first; with `before` those older than that letter.

        Raises:
            BusUnavailable: When Redis does not answer.
        """
        while True:
            found = await self._newest(ROWS_AT_ONCE, before)
            for letter in filter(wanted.matches, found):
                yield letter
            if len(found) < ROWS_AT_ONCE:
                return
            before = found[-1].id

    async def page(self, wanted: Filter, limit: int, before: str | None = None) -> list[DeadLetter]:
        """Return the newest letters that match, at most `limit`; read all there are for it.

        Raises:
            BusUnavailable: When Redis does not answer.
        """
        page: list[DeadLetter] = []
        async for letter in self.matching(wanted, before):
            page.append(letter)
            if len(page) >= limit:
                break
        return page

    async def ids(
        self, wanted: Filter, *, after: str | None = None, until: str | None = None
    ) -> list[str]:
        """Entry ids of all letters that match, oldest first; a text means to read them all.

        Args:
            wanted: The filter.
            after: Only letters newer than this one.
            until: Only this letter and older ones.

        Raises:
            BusUnavailable: When Redis does not answer.
        """
        found = (await self.index.fresh()).ids(wanted, after=after, until=until)
        if wanted.text is None:
            return list(found)
        return [letter_id async for letter_id in self._holding(wanted, " ".join(found))]

    async def chosen(self, wanted: Filter, named: Sequence[str] | None) -> list[str]:
        """Entry ids of letters that match and, where some were named, are among those.

        Raises:
            BusUnavailable: When Redis does not answer.
        """
        found = await self.ids(wanted)
        if named is None:
            return found
        names = set(named)
        return [letter_id for letter_id in found if letter_id in names]

    async def groups(self, wanted: Filter) -> list[Group]:
        """Letters that match, by cause, the largest group first; a text means to read them all.

        Raises:
            BusUnavailable: When Redis does not answer.
        """
        if wanted.text is None:
            return (await self.index.fresh()).groups(wanted)
        ids = await self.ids(wanted)
        return (await self.index.fresh()).groups(wanted, of=ids)

    async def get(self, letter_id: str) -> DeadLetter:
        """Return one letter.

        Raises:
            DeadLetterNotFound: When it was replayed, purged, or never existed.
            BusUnavailable: When Redis does not answer.
        """
        return letter_from(letter_id.encode(), await self._fields(letter_id))

    async def fetch(self, letter_ids: Iterable[str]) -> list[DeadLetter]:
        """Return the letters with these ids, in that order, but for those that are gone.

        Raises:
            BusUnavailable: When Redis does not answer.
        """
        asked = [("XRANGE", self._keys.dead, one, one) for one in letter_ids]
        answers = await self._bus.commands(*asked) if asked else []
        return [letter_from(*rows[0]) for rows in answers if rows]

    async def replay(
        self, letter_id: str, data: str | None = None, deed: Deed | None = None
    ) -> tuple[str, str]:
        """Put a letter back where it fell, once; return (stream key, entry id).

        What fell at `store` goes to `enriched`, everything else to `inbox`.

        Args:
            letter_id: Its entry id.
            data: Instead of the event's own `data`.
            deed: What the audit says of it, in the same step; nothing when None.

        Raises:
            DeadLetterNotFound: When it was replayed, purged, or never existed.
            BusUnavailable: When Redis does not answer, or is full.
        """
        fields = await self._fields(letter_id)
        own: dict[bytes, Field] = {
            name: value for name, value in fields.items() if not name.startswith(b"dead_")
        }
        if data is not None:
            own[b"data"] = data
        own[b"replays"] = number(fields.get(b"replays", b"0")) + 1
        stage = fields.get(b"dead_stage", ENRICH.encode()).decode("utf-8", "replace")
        target = self._keys.enriched if stage == STORE else self._keys.inbox
        line = flat_of(deed) if deed else []
        entry_id = await self._bus.run(
            "replay",
            (self._keys.dead, target, self._keys.ledger, self._keys.audit),
            *(letter_id, len(line), *line),
            *(part for pair in own.items() for part in pair),
        )
        if entry_id is None:
            raise _gone(letter_id)
        self.index.forget([letter_id])
        return target, entry_id.decode()

    async def purge(self, letter_ids: Sequence[str], deed: Deed | None = None) -> int:
        """Delete letters for good; return how many there were.

        Args:
            letter_ids: Their entry ids.
            deed: What the audit says of it, with the first that are deleted.

        Raises:
            BusUnavailable: When Redis does not answer.
        """
        known = [letter_id for letter_id in letter_ids if ENTRY_ID.fullmatch(letter_id)]
        keys = (self._keys.dead, self._keys.ledger, self._keys.audit)
        line = flat_of(deed) if deed else []
        purged = 0
        for start in range(0, len(known), PURGED_AT_ONCE):
            some = known[start : start + PURGED_AT_ONCE]
            deleted = int(await self._bus.run("purge", keys, len(line), *line, *some))
            purged += deleted
            line = [] if deleted else line
            self.index.forget(some)
        return purged

    async def _holding(self, wanted: Filter, ids: str) -> AsyncIterator[str]:
        for some in batches(ids, ROWS_AT_ONCE):
            for letter in await self.fetch(some):
                if wanted.holds(letter):
                    yield letter.id

    async def _newest(self, limit: int, before: str | None) -> list[DeadLetter]:
        highest = f"({before}" if before else "+"
        rows = await self._bus.command("XREVRANGE", self._keys.dead, highest, "-", "COUNT", limit)
        return [letter_from(entry_id, fields) for entry_id, fields in rows]

    async def _fields(self, letter_id: str) -> dict[bytes, bytes]:
        # Half an id would mean every letter of that millisecond.
        if not ENTRY_ID.fullmatch(letter_id):
            raise _gone(letter_id)
        rows: list[Any] = await self._bus.command("XRANGE", self._keys.dead, letter_id, letter_id)
        if not rows:
            raise _gone(letter_id)
        fields: dict[bytes, bytes] = rows[0][1]
        return fields


def batches(ids: str, at_once: int) -> Iterator[list[str]]:
    """Cut ids that are the words of one text, which takes a quarter of the memory of a list."""
    words = (found[0] for found in re.finditer(r"\S+", ids))
    while some := list(islice(words, at_once)):
        yield some


def _gone(letter_id: str) -> DeadLetterNotFound:
    return DeadLetterNotFound(f"there is no dead letter {letter_id}: replayed or purged already?")

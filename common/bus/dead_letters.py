"""Dead letters: looking at them, and putting them back."""

import re
from collections.abc import AsyncIterator
from typing import Any, Final

import msgspec

from common.bus.connection import Bus
from common.bus.entry import Field
from common.bus.keys import ENRICH, STORE
from common.errors import DeadLetterNotFound

_ID: Final = re.compile(r"\d{1,19}-\d{1,19}", re.ASCII)

ROWS_AT_ONCE: Final = 500
"""Entries read from the stream in one go while looking for those that match."""


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """An event that could not go on, and why.

    Attributes:
        id: Its entry id in `dead`.
        fields: The entry it was: field names and values as text.
        stage: `ingest`, `enrich` or `store`.
        reason: Code of the cause.
        error: The cause in words; InfluxDB's own where they are its.
        detail: JSON text: traceback, step, line protocol.
        at: When it was buried, ISO 8601 in UTC.
        fingerprint: The same for the same cause.
    """

    id: str
    fields: dict[str, str]
    stage: str
    reason: str
    error: str
    detail: str
    origin: str
    origin_id: str
    deliveries: int
    worker: str
    at: str
    fingerprint: str


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """Which dead letters are meant; what is None matches all.

    Attributes:
        since: Buried at or after this ISO 8601 time.
        until: Buried before this ISO 8601 time.
        text: Found in the event or in the error, upper and lower case alike.
    """

    stage: str | None = None
    reason: str | None = None
    entity_id: str | None = None
    fingerprint: str | None = None
    since: str | None = None
    until: str | None = None
    text: str | None = None

    def matches(self, letter: DeadLetter) -> bool:
        """Whether the letter is meant."""
        return (
            self.stage in {None, letter.stage}
            and self.reason in {None, letter.reason}
            and self.entity_id in {None, letter.fields.get("entity_id")}
            and self.fingerprint in {None, letter.fingerprint}
            and (self.since is None or letter.at >= self.since)
            and (self.until is None or letter.at < self.until)
            and (self.text is None or self._holds(letter))
        )

    def _holds(self, letter: DeadLetter) -> bool:
        text = str(self.text).casefold()
        return any(text in value.casefold() for value in (*letter.fields.values(), letter.error))


class DeadLetters:
    """The dead letters of one pipeline.

    Args:
        bus: Where they are.
    """

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._keys = bus.keys

    async def matching(
        self, wanted: Filter, before: str | None = None
    ) -> AsyncIterator[DeadLetter]:
        """Letters that match, newest first; with `before` those older than that letter.

        Raises:
            BusUnavailable: When Redis does not answer.
        """
        highest = f"({before}" if before else "+"
        while True:
            rows = await self._bus.command(
                "XREVRANGE", self._keys.dead, highest, "-", "COUNT", ROWS_AT_ONCE
            )
            for entry_id, fields in rows:
                letter = _letter(entry_id, fields)
                if wanted.matches(letter):
                    yield letter
            if len(rows) < ROWS_AT_ONCE:
                return
            highest = f"({rows[-1][0].decode()}"

    async def page(self, wanted: Filter, limit: int, before: str | None = None) -> list[DeadLetter]:
        """Return the newest letters that match, at most `limit`.

        Raises:
            BusUnavailable: When Redis does not answer.
        """
        page: list[DeadLetter] = []
        async for letter in self.matching(wanted, before):
            page.append(letter)
            if len(page) >= limit:
                break
        return page

    async def get(self, letter_id: str) -> DeadLetter:
        """Return one letter.

        Raises:
            DeadLetterNotFound: When it was replayed, purged, or never existed.
            BusUnavailable: When Redis does not answer.
        """
        return _letter(letter_id.encode(), await self._fields(letter_id))

    async def replay(self, letter_id: str, data: str | None = None) -> tuple[str, str]:
        """Put a letter back where it fell, once; return (stream key, entry id).

        What fell at `store` goes to `enriched`, everything else to `inbox`.

        Args:
            letter_id: Its entry id.
            data: Instead of the event's own `data`.

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
        replays = fields.get(b"replays", b"0")
        own[b"replays"] = (int(replays) if replays.isdigit() else 0) + 1
        stage = fields.get(b"dead_stage", ENRICH.encode()).decode()
        target = self._keys.enriched if stage == STORE else self._keys.inbox
        entry_id = await self._bus.run(
            "replay",
            (self._keys.dead, target, self._keys.ledger),
            letter_id,
            *(part for pair in own.items() for part in pair),
        )
        if entry_id is None:
            raise _gone(letter_id)
        return target, entry_id.decode()

    async def purge(self, letter_ids: list[str]) -> int:
        """Delete letters for good; return how many there were.

        Raises:
            BusUnavailable: When Redis does not answer.
        """
        known = [letter_id for letter_id in letter_ids if _ID.fullmatch(letter_id)]
        if not known:
            return 0
        purged = await self._bus.run("purge", (self._keys.dead, self._keys.ledger), *known)
        return int(purged)

    async def _fields(self, letter_id: str) -> dict[bytes, bytes]:
        if not _ID.fullmatch(letter_id):  # half an id would mean every letter of that millisecond
            raise _gone(letter_id)
        rows: list[Any] = await self._bus.command("XRANGE", self._keys.dead, letter_id, letter_id)
        if not rows:
            raise _gone(letter_id)
        fields: dict[bytes, bytes] = rows[0][1]
        return fields


def _gone(letter_id: str) -> DeadLetterNotFound:
    return DeadLetterNotFound(f"there is no dead letter {letter_id}: replayed or purged already?")


def _letter(entry_id: bytes, fields: dict[bytes, bytes]) -> DeadLetter:
    text = {n.decode("utf-8", "replace"): v.decode("utf-8", "replace") for n, v in fields.items()}
    deliveries = text.get("dead_deliveries", "0")
    return DeadLetter(
        id=entry_id.decode(),
        fields={name: value for name, value in text.items() if not name.startswith("dead_")},
        stage=text.get("dead_stage", ""),
        reason=text.get("dead_reason", ""),
        error=text.get("dead_error", ""),
        detail=text.get("dead_detail", "{}"),
        origin=text.get("dead_origin", ""),
        origin_id=text.get("dead_origin_id", ""),
        deliveries=int(deliveries) if deliveries.isdigit() else 0,
        worker=text.get("dead_worker", ""),
        at=text.get("dead_at", ""),
        fingerprint=text.get("dead_fingerprint", ""),
    )

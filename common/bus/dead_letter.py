"""A dead letter as people look at it, and which ones a filter means."""

from collections.abc import Mapping
from typing import Final

import msgspec

from common.bus.entry import event_of, number
from common.event import Event

EXPIRED: Final = "outside_retention"
"""Reason of letters that would only fall again: what the sink keeps does not reach back so far."""


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

    @property
    def is_expired(self) -> bool:
        """Whether a replay as it is would only bury it again."""
        return self.reason == EXPIRED

    @property
    def replays(self) -> int:
        """How often the event was put back before it fell this time."""
        return number(self.fields.get("replays", "0"))

    def event(self, data: bytes | None = None) -> Event:
        """The event that it was, with other `data` if there is any.

        Raises:
            MalformedEvent: When its fields make no event.
        """
        fields = {name: value.encode("utf-8", "replace") for name, value in self.fields.items()}
        if data is not None:
            fields["data"] = data
        return event_of([part for name, value in fields.items() for part in (name.encode(), value)])


class Filter(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
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
            and (self.text is None or self.holds(letter))
        )

    def holds(self, letter: DeadLetter) -> bool:
        """Whether the text is found in the event or in the error."""
        text = str(self.text).casefold()
        return any(text in value.casefold() for value in (*letter.fields.values(), letter.error))


EVERYTHING: Final = Filter()
"""The filter that every letter matches."""


def letter_from(entry_id: bytes, fields: Mapping[bytes, bytes]) -> DeadLetter:
    """Read an entry of the stream `dead`, whatever stands there."""
    text = {n.decode("utf-8", "replace"): v.decode("utf-8", "replace") for n, v in fields.items()}
    return DeadLetter(
        id=entry_id.decode(),
        fields={name: value for name, value in text.items() if not name.startswith("dead_")},
        stage=text.get("dead_stage", ""),
        reason=text.get("dead_reason", ""),
        error=text.get("dead_error", ""),
        detail=text.get("dead_detail", "{}"),
        origin=text.get("dead_origin", ""),
        origin_id=text.get("dead_origin_id", ""),
        deliveries=number(text.get("dead_deliveries", "0")),
        worker=text.get("dead_worker", ""),
        at=text.get("dead_at", ""),
        fingerprint=text.get("dead_fingerprint", ""),
    )

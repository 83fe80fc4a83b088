"""What every sink promises to those who write to it and to those who ask it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol, TypeVar

import msgspec

from common.event import Event

Point = TypeVar("Point")


class StoredEvent(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """An event as it stands in a sink: the same shape from each of them.

    Attributes:
        time: ISO 8601 in UTC with microseconds.
        measurement: The domain; `event` for other event types, `habus_gap` for gaps.
        state: Text of the state; of a plain number its shortest text.
        value: The state as a number.
        available: False for `unavailable`, `unknown` and a removed entity.
        previous_duration_s: Seconds the previous state lasted.
        event_type: Only for measurements `event` and `habus_gap`.
        data: Only for these two: their data as JSON text.
    """

    time: str
    measurement: str
    entity_id: str | None = None
    state: str | None = None
    value: float | None = None
    available: bool | None = None
    unit: str | None = None
    device_class: str | None = None
    area: str | None = None
    friendly_name: str | None = None
    device: str | None = None
    previous_duration_s: float | None = None
    event_type: str | None = None
    data: str | None = None


class Sink(Protocol[Point]):
    """Anything that keeps events. Writing the same event twice keeps it once."""

    async def check(self) -> str:
        """Return one line about the sink: what it is, its version, where it writes.

        Raises:
            SinkUnavailable: When it is away, refuses our token, or lacks the bucket or the
                organisation; the message says what to change.
        """
        ...

    def point(self, event: Event) -> Point:
        """Turn an enriched event into what `write` takes. Pure, and on the hot path.

        Raises:
            PointRejected: When no point can be made of it.
            MalformedEvent: When its data is no enriched event.
        """
        ...

    async def write(self, points: Sequence[Point]) -> None:
        """Store all points; when this returns, every one of them stands.

        Raises:
            SinkUnavailable: When nothing can be said; write the same again later.
            PointRejected: When at least one of them is refused; of the others nothing is known.
        """
        ...

    async def prove(self, points: Sequence[Point]) -> None:
        """Write something of our own beside the first of these: whether the sink can write there.

        Raises:
            SinkUnavailable: When it cannot.
        """
        ...

    async def events(
        self, start: datetime, end: datetime, entity_id: str | None = None, limit: int = 100
    ) -> list[StoredEvent]:
        """The newest `limit` events with start ≤ time < end, newest first.

        Raises:
            SinkUnavailable: When the sink does not answer.
        """
        ...

    async def history(
        self, entity_id: str, start: datetime, end: datetime, limit: int = 1000
    ) -> list[StoredEvent]:
        """The first `limit` events of one entity with start ≤ time < end, oldest first.

        Raises:
            SinkUnavailable: When the sink does not answer.
        """
        ...

    async def close(self) -> None:
        """Let go of connections and files."""
        ...

"""Which times are meant when somebody leaves an end open."""

from datetime import UTC, datetime, timedelta
from typing import Final

DEFAULT_SPAN: Final = timedelta(hours=24)
"""How far back is looked when nobody says from when."""

AHEAD: Final = timedelta(hours=1)
"""How far ahead is looked when nobody says until when: clocks differ."""

_EARLIEST: Final = datetime.min.replace(tzinfo=UTC) + DEFAULT_SPAN


def span(start: datetime | None, end: datetime | None, now: datetime) -> tuple[datetime, datetime]:
    """Complete a time range: until soon, and for a day; in UTC.

    Args:
        start: From this time on, with a zone; a day before the end when None.
        end: Before this time, with a zone; soon after `now` when None.
        now: The time, with a zone.
    """
    end = end or now + AHEAD
    start = start or max(end, _EARLIEST) - DEFAULT_SPAN
    return start.astimezone(UTC), end.astimezone(UTC)

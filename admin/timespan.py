"""Which times are meant when somebody leaves an end open."""

from datetime import UTC, datetime, timedelta
from typing import Final

DEFAULT_SPAN: Final = timedelta(hours=24)
"""How far back is looked when nobody says from when."""

AHEAD: Final = timedelta(hours=1)
"""How far ahead is looked when nobody says until when: clocks differ."""

_FIRST: Final = datetime(1, 1, 1, tzinfo=UTC)
_LAST: Final = datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)


def span(start: datetime | None, end: datetime | None, now: datetime) -> tuple[datetime, datetime]:
    """Complete a time range: until soon, and for a day; in UTC.

    Args:
        start: From this time on, with a zone; a day before the end when None.
        end: Before this time, with a zone; soon after `now` when None.
        now: The time, with a zone.
    """
    end = _in_utc(end or now + AHEAD)
    return _in_utc(start or max(end, _FIRST + DEFAULT_SPAN) - DEFAULT_SPAN), end


def _in_utc(when: datetime) -> datetime:
    """The same time in UTC, or the nearest that there is."""
    try:
        return when.astimezone(UTC)
    except OverflowError:  # within a day of the year 1, or 10000
        return _FIRST if when.year == _FIRST.year else _LAST

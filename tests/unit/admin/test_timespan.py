"""Which times are meant when an end is open."""

from datetime import UTC, datetime, timedelta, timezone

from admin.timespan import AHEAD, DEFAULT_SPAN, span

NOW = datetime(2026, 11, 20, 15, 44, 33, tzinfo=UTC)


def test_open_ends():
    """Without times it is the last day, and a little ahead of our clock."""
    assert span(None, None, NOW) == (NOW + AHEAD - DEFAULT_SPAN, NOW + AHEAD)


def test_an_end_alone_means_the_day_before_it():
    """The start follows from the end, also at the beginning of time."""
    end = NOW - timedelta(days=30)
    assert span(None, end, NOW) == (end - DEFAULT_SPAN, end)
    first = datetime.min.replace(tzinfo=UTC)
    assert span(None, first, NOW) == (first, first)


def test_the_ends_of_time_have_no_day_beyond():
    """A zone may put a time before the year 1, or after 9999; the nearest there is counts."""
    east, west = timezone(timedelta(hours=14)), timezone(timedelta(hours=-14))
    first, last = datetime.min.replace(tzinfo=east), datetime.max.replace(tzinfo=west)
    assert span(first, last, NOW) == (
        datetime.min.replace(tzinfo=UTC),
        datetime.max.replace(tzinfo=UTC),
    )
    assert span(None, first, NOW)[1] == datetime.min.replace(tzinfo=UTC)


def test_both_are_taken_as_they_are():
    """Given times stay, in UTC."""
    start = NOW.astimezone(timezone(timedelta(hours=5)))
    found = span(start, NOW, NOW)
    assert found == (NOW, NOW)
    assert found[0].tzinfo is UTC

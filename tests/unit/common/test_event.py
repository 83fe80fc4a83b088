import uuid
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import MalformedEvent
from common.event import (
    EPOCH,
    NAMESPACE,
    Event,
    event_id,
    format_time,
    microseconds,
    normal_time,
    parse_time,
    time_of,
)

text = st.text()
zones = st.integers(-14 * 60, 14 * 60).map(lambda m: timezone(timedelta(minutes=m)))
moments = st.datetimes(datetime(2, 1, 1), datetime(9998, 12, 31), timezones=zones)  # noqa: DTZ001 - hypothesis adds the zone


def test_an_event_never_changes():
    """Whoever holds an event can trust it."""
    event = Event("1", "state_changed", "light.a", "t", "live", "home", b"{}")
    assert event.replays == 0
    with pytest.raises(AttributeError):
        event.id = "2"


@given(text, text, text, text)
def test_the_id_is_the_uuid5_of_its_parts(home, event_type, entity_id, time):
    """Any UUID library computes the same id from the four parts."""
    expected = uuid.uuid5(NAMESPACE, f"{home}\0{event_type}\0{entity_id}\0{time}")
    assert event_id(home, event_type, entity_id, time) == str(expected)


def test_the_id_stays_what_it_was():
    """An id that changes between versions would store every event again."""
    made = event_id("home", "state_changed", "sensor.a", "2026-11-20T15:44:33.435789+00:00")
    assert made == "6018cb44-b03c-5193-96c4-1dfb0cb7356d"


@given(moments)
def test_a_written_time_is_read_as_the_same(when):
    """No zone and no microsecond is lost on the way through an event."""
    written = format_time(when)
    assert parse_time(written) == when
    assert len(written) == 32
    assert written.endswith("+00:00")
    assert normal_time(written) == written


@given(moments)
def test_any_zone_becomes_utc(when):
    """The same moment has the same text, whatever zone it was said in."""
    assert normal_time(when.isoformat()) == format_time(when)
    assert normal_time(when.isoformat(timespec="microseconds")) == format_time(when)


@given(moments)
def test_microseconds_there_and_back(when):
    """Microseconds since 1970 name exactly one time, also before 1970."""
    us = microseconds(format_time(when))
    assert us == (when - EPOCH) // timedelta(microseconds=1)
    assert time_of(us) == format_time(when)


@pytest.mark.parametrize(
    ("given_time", "normal"),
    [
        ("2026-11-20T15:44:33+00:00", "2026-11-20T15:44:33.000000+00:00"),
        ("2026-11-20T15:44:33.5Z", "2026-11-20T15:44:33.500000+00:00"),
        ("2026-11-20T16:44:33.435789+01:00", "2026-11-20T15:44:33.435789+00:00"),
        ("2026-11-20T15:44:33.435789+00:00", "2026-11-20T15:44:33.435789+00:00"),
        ("2026-11-20 15:44:33.435789+00:00", "2026-11-20T15:44:33.435789+00:00"),
        ("20261120T154433Z", "2026-11-20T15:44:33.000000+00:00"),
    ],
)
def test_times_as_people_and_home_assistant_write_them(given_time, normal):
    """Every spelling of a moment becomes the one that events carry."""
    assert normal_time(given_time) == normal


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("", "not an ISO 8601 time: ''"),
        ("yesterday", "not an ISO 8601 time"),
        ("2026-13-20T15:44:33.435789+00:00", "not an ISO 8601 time"),
        (None, "not an ISO 8601 time: None"),
        ("2026-11-20T15:44:33", "without a zone"),
        ("0001-01-01T00:00:00+14:00", "outside the years"),
    ],
)
def test_what_is_no_time_is_malformed(wrong, message):
    """A time that cannot be stored is refused with words that say why."""
    with pytest.raises(MalformedEvent, match=message):
        format_time(parse_time(wrong))


def test_a_wrong_time_of_the_usual_shape_is_malformed():
    """The shape alone does not make a time."""
    with pytest.raises(MalformedEvent):
        normal_time("2026-13-20T15:44:33.435789+00:00")


@given(st.text(max_size=40))
def test_any_text_is_a_time_or_malformed(anything):
    """Nothing that comes from outside raises anything else."""
    try:
        assert parse_time(normal_time(anything)).utcoffset() == timedelta(0)
    except MalformedEvent:
        return


def test_utc_is_the_zone_of_events():
    """A time in UTC is written as it is."""
    when = datetime(2026, 11, 20, 15, 44, 33, 435789, tzinfo=UTC)
    assert format_time(when) == "2026-11-20T15:44:33.435789+00:00"

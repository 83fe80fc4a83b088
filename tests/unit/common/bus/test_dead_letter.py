"""A dead letter as it is read, and the filter."""

import pytest

from common.bus.dead_letter import Filter, letter_from
from common.bus.entry import position_of
from common.errors import MalformedEvent
from common.event import Event

FIELDS = {
    b"v": b"1",
    b"id": b"one",
    b"type": b"state_changed",
    b"entity_id": b"sensor.a",
    b"time": b"2026-11-20T15:44:33.435789+00:00",
    b"source": b"live",
    b"home": b"home",
    b"data": b"{}",
    b"dead_stage": b"store",
    b"dead_reason": b"point_rejected",
    b"dead_error": b"No Such Field",
    b"dead_at": b"2026-11-20T16:00:00.000000+00:00",
    b"dead_deliveries": b"2",
    b"dead_fingerprint": b"abc",
}


def test_a_letter_gives_back_the_event_that_it_was():
    """The entry's own fields make the event, with other data where a person edited it."""
    letter = letter_from(b"1-1", FIELDS)
    event = Event(
        *("one", "state_changed", "sensor.a", "2026-11-20T15:44:33.435789+00:00"),
        *("live", "home", b"{}"),
    )
    assert letter.event() == event
    assert letter.event(b"[]").data == b"[]"
    with pytest.raises(MalformedEvent, match="lacks"):
        letter_from(b"1-1", {b"dead_stage": b"store"}).event()


def test_replays_and_expiry_are_read_off():
    """How often it was put back stands in its fields; expired is a reason."""
    assert letter_from(b"1-1", FIELDS).replays == 0
    again = letter_from(b"1-1", {**FIELDS, b"replays": b"3", b"dead_reason": b"outside_retention"})
    assert (again.replays, again.is_expired) == (3, True)
    assert not letter_from(b"1-1", FIELDS).is_expired


@pytest.mark.parametrize(
    ("part", "fits", "strange"),
    [
        ("stage", "store", "enrich"),
        ("reason", "point_rejected", "too_large"),
        ("entity_id", "sensor.a", "sensor.b"),
        ("fingerprint", "abc", "abd"),
        ("since", "2026-11-20T16:00:00.000000+00:00", "2026-11-20T16:00:00.000001+00:00"),
        ("until", "2026-11-20T16:00:00.000001+00:00", "2026-11-20T16:00:00.000000+00:00"),
        ("text", "no such", "nowhere"),
    ],
)
def test_each_part_of_a_filter_counts(part, fits, strange):
    """A letter is meant when it matches every part; a text is looked for in any case."""
    letter = letter_from(b"1-1", FIELDS)
    assert Filter().matches(letter)
    assert Filter(**{part: fits}).matches(letter)
    assert not Filter(**{part: strange}).matches(letter)


def test_entry_ids_sort_by_their_numbers():
    """The two numbers of an id, as Redis compares them."""
    assert position_of("10-9") > position_of("9-10")
    assert position_of("1795189957539-10") > position_of("1795189957539-9")

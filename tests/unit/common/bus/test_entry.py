"""An event as the flat fields of an entry, and back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.bus.entry import event_of, fields_of, number, shared_of, values_of
from common.errors import MalformedEvent
from common.event import Event

texts = st.text(st.characters(exclude_categories=["Cs"]))
events = st.builds(
    Event, texts, texts, texts, texts, texts, texts, st.binary(), replays=st.integers(0, 10**9)
)
PLAIN = Event("1", "t", "sensor.küche", "2026", "live", "home", b"{}")


def wire(flat):
    """Fields as Redis gives them back."""
    return [part if isinstance(part, bytes) else str(part).encode() for part in flat]


@given(events)
def test_an_event_comes_back_as_it_was(event):
    """What is written as an entry is read as the same event."""
    assert event_of(wire(fields_of(event))) == event


@given(events, st.randoms())
def test_the_order_of_fields_does_not_matter(event, dice):
    """An entry that another hand wrote, in any order and with more fields, is read too."""
    flat = wire(fields_of(event))
    pairs = [*zip(flat[::2], flat[1::2], strict=True), (b"note", b"\xff")]
    dice.shuffle(pairs)
    assert event_of([part for pair in pairs for part in pair]) == event


def test_an_entry_is_readable_by_hand():
    """Names and order of the fields are those of the contract; `replays` only where there are."""
    assert wire(fields_of(PLAIN))[::2] == [
        *(b"v", b"id", b"type", b"entity_id", b"time", b"source", b"home", b"data"),
    ]
    replayed = Event("1", "t", "", "2026", "live", "home", b"{}", replays=2)
    assert wire(fields_of(replayed))[-2:] == [b"replays", b"2"]


def test_the_values_are_those_that_the_scripts_name():
    """Shared or not, each value of the fields is there once, in their order."""
    flat = wire(fields_of(PLAIN))
    fields = dict(zip(flat[0::2], flat[1::2], strict=True))
    assert wire(values_of(PLAIN)) == [fields[n] for n in (b"id", b"entity_id", b"time", b"data")]
    assert wire(shared_of(PLAIN)) == [fields[n] for n in (b"type", b"source", b"home")]


@pytest.mark.parametrize("missing", ["id", "type", "time", "data"])
def test_what_an_event_needs_is_asked_for_by_name(missing):
    """An entry that lacks a field says which."""
    flat = wire(fields_of(PLAIN))
    at = flat.index(missing.encode())
    with pytest.raises(MalformedEvent, match=missing):
        event_of(flat[:at] + flat[at + 2 :])


def test_what_an_event_can_do_without_has_a_default():
    """A hand-made entry may leave out where it comes from."""
    event = event_of([b"id", b"1", b"type", b"t", b"time", b"2026", b"data", b"{}"])
    assert event == Event("1", "t", "", "2026", "api", "home", b"{}")


def test_another_format_version_is_refused():
    """An entry of a future habus is not misread."""
    with pytest.raises(MalformedEvent, match="version"):
        event_of([b"v", b"2", *wire(fields_of(PLAIN))[2:]])


@pytest.mark.parametrize("extra", [[], [b"note", b"x"]])
def test_text_that_is_no_utf8_is_malformed(extra):
    """Bytes where a text should be are no event."""
    flat = wire(fields_of(PLAIN))
    flat[7] = b"\xff"
    with pytest.raises(MalformedEvent, match="UTF-8"):
        event_of(flat + extra)


def test_replays_that_are_no_number_count_as_none():
    """A field that a person spoiled does not spoil the event, nor does a number without end."""
    for replays in (b"often", b"-1", b"9" * 5_000, b"\xc2\xb2", b""):
        assert event_of([*wire(fields_of(PLAIN)), b"replays", replays]).replays == 0


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("7", 7),
        (b"7", 7),
        ("", 0),
        ("-1", 0),
        ("x", 0),
        ("²", 0),
        ("9" * 19, int("9" * 19)),
        ("9" * 20, 0),
    ],
)
def test_a_number_is_read_from_whatever_stands_there(text, value):
    """What is no number of 64 bits counts as 0."""
    assert number(text) == value


@given(st.lists(st.binary(), max_size=20))
def test_no_rubbish_breaks_the_reader(flat):
    """Whatever stands in a stream is an event or a `MalformedEvent`."""
    try:
        event_of(flat)
    except MalformedEvent:
        pass
    else:
        assert b"data" in flat

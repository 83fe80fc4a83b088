"""Rows as the spool's file keeps them."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.bus import Row
from ingest.batch import events_in, ids_in, packed, unpacked
from tests.fakes.bus import START_MS, event, letter_row


@given(st.lists(st.booleans(), min_size=1, max_size=20), st.integers(1, 2**50))
def test_what_is_packed_comes_back(kinds, first):
    """Numbers, times, events and letters are the same again."""
    rows = [
        Row(seq, START_MS, event(seq % 1000), letter_row(3).letter if is_letter else [])
        for seq, is_letter in enumerate(kinds, first)
    ]
    batch = packed(rows, "")
    back = unpacked(batch)
    assert [(row.seq, row.ms, row.event) for row in back] == [
        (row.seq, row.ms, row.event) for row in rows
    ]
    assert [len(row.letter) for row in back] == [len(row.letter) for row in rows]
    assert events_in(batch[2]) == [row.event for row in rows]


@given(st.integers(0), st.integers(0, 7))
def test_a_flipped_bit_is_damage(at, bit):
    """SQLite has no checksums: a bit that flips within a value must not become another event."""
    last, ms, events, letters, *rest = packed([letter_row(7)], "")
    ids = bytearray(rest[-1])
    assert ids_in(bytes(ids), b"") == {event(7).id}
    ids[at % len(ids)] ^= 1 << bit
    with pytest.raises(msgspec.MsgspecError):
        ids_in(bytes(ids), b"")
    for blob in (events, letters):
        flipped = bytearray(blob)
        flipped[at % len(blob)] ^= 1 << bit
        pair = (bytes(flipped), letters) if blob is events else (events, bytes(flipped))
        with pytest.raises(msgspec.MsgspecError):
            unpacked((last, ms, *pair, *rest))


def test_what_an_older_habus_wrote_is_read():
    """Before there were checksums nothing stood before the MessagePack."""
    last, ms, events, letters, *rest = packed([letter_row(7)], "")
    [row] = unpacked((last, ms, events[5:], letters[5:], *rest))
    assert (row.event, len(row.letter)) == (event(7), len(letter_row(7).letter))


NO_TEXT = b"\xa1\xff"
"""A text of MessagePack that is no UTF-8."""


@pytest.mark.parametrize(
    "letters", [b"\x81\x01\x91" + NO_TEXT, b"\x81\xa1a\x90", b"\xc1", 7, "text"]
)
def test_letters_that_cannot_be_read_are_damage(letters):
    """Whatever stands where the letters should be, there is one kind of error."""
    last, ms, events, _, *rest = packed([Row(1, START_MS, event(1), [])], "")
    with pytest.raises(msgspec.MsgspecError):
        unpacked((last, ms, events, letters, *rest))


@pytest.mark.parametrize("events", [b"\x91\x97" + 7 * NO_TEXT, b"\x91\x90", b"\xc1", 7, None])
def test_events_that_cannot_be_read_are_damage(events):
    """Whatever stands where the events should be, there is one kind of error."""
    with pytest.raises(msgspec.MsgspecError):
        events_in(events)

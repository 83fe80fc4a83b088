"""An entry in a consumer's hands."""

from hypothesis import given
from hypothesis import strategies as st

from common.bus.delivery import delivery, id_range
from common.errors import MalformedEvent
from tests.fakes.bus import event, fields_of


def wire(flat):
    return [part if isinstance(part, bytes) else str(part).encode() for part in flat]


def test_a_delivery_carries_its_event():
    """What stands in the stream is read once, when it is delivered."""
    held = delivery("ha:raw", b"1-1", wire(fields_of(event(1))), deaths=2)
    assert (held.stream, held.entry_id, held.event, held.deaths) == (
        *("ha:raw", b"1-1", event(1), 2),
    )


def test_a_delivery_of_rubbish_carries_its_cause():
    """What is no event is delivered with why not, and with its fields as they are."""
    held = delivery("ha:raw", b"1-1", [b"hello", b"\xff"])
    assert isinstance(held.event, MalformedEvent)
    assert held.flat == [b"hello", b"\xff"]


@given(st.lists(st.tuples(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1)), min_size=1))
def test_the_range_of_ids_is_by_number(ids):
    """9-10 follows 9-9, and 10-0 follows both."""
    first, last = id_range(b"%d-%d" % pair for pair in ids)
    assert (first, last) == (b"%d-%d" % min(ids), b"%d-%d" % max(ids))

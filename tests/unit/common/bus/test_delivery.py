"""An entry in a consumer's hands."""

from common.bus.delivery import delivery
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

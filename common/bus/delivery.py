"""Delivery: an entry in a consumer's hands."""

import msgspec

from common.bus.entry import event_of
from common.errors import MalformedEvent, PoisonError
from common.event import Event


class Delivery(msgspec.Struct, frozen=True, gc=False):
    """An entry in a consumer's hands.

    Attributes:
        stream: Key of the stream it stands in.
        entry_id: Its id there.
        flat: Its fields and values as they stand there.
        event: The event it carries, or why none can be read.
        deaths: How many processes died while holding it.
    """

    stream: str
    entry_id: bytes
    flat: list[bytes]
    event: Event | PoisonError
    deaths: int = 0


def delivery(stream: str, entry_id: bytes, flat: list[bytes], deaths: int = 0) -> Delivery:
    """Make a delivery of an entry, whatever stands in it."""
    try:
        event: Event | PoisonError = event_of(flat)
    except MalformedEvent as error:
        event = error
    return Delivery(stream, entry_id, flat, event, deaths)

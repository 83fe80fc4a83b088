"""The ledger: the counters that must balance."""

from typing import Final

import msgspec

from common.bus.connection import Bus
from common.bus.keys import ENRICH, STORE

COUNTED_BY_HAND: Final = 10_000
"""Most unread entries counted one by one where Redis cannot tell how many there are."""


class Ledger(msgspec.Struct, frozen=True, kw_only=True):
    """Where every event that ever reached the bus is now, read at one instant.

    captured = filtered + duplicates + stored + dead + purged + lost + in flight + unaccounted.

    Attributes:
        captured: Events that came: live, from history, from snapshots, handed in.
        filtered: Left out by a rule of the user.
        duplicates: Came a second time, dropped at the door.
        enriched: Forwarded by `enrich`.
        stored: Stand in the sink.
        dead: Stand in the dead letters now.
        buried: Were ever buried.
        replayed: Were ever put back from the dead letters.
        purged: Deleted from the dead letters by a person.
        lost: Deleted from a stream by somebody else before they were settled.
        in_flight: Wait in the streams, or in a worker's hands; None when there are too many
            to count and Redis cannot tell.
    """

    captured: int = 0
    filtered: int = 0
    duplicates: int = 0
    enriched: int = 0
    stored: int = 0
    dead: int = 0
    buried: int = 0
    replayed: int = 0
    purged: int = 0
    lost: int = 0
    in_flight: int | None = 0

    @property
    def unaccounted(self) -> int | None:
        """What the sum misses; must be 0. None while `in_flight` is not known."""
        if self.in_flight is None:
            return None
        settled = self.filtered + self.duplicates + self.stored + self.dead
        return self.captured - settled - self.purged - self.lost - self.in_flight


COUNTERS: Final = tuple(name for name in Ledger.__struct_fields__ if name != "in_flight")
"""Fields of the hash `ha:ledger`."""


async def read_ledger(bus: Bus) -> Ledger:
    """Read all counters and what is in flight in one step.

    Raises:
        BusUnavailable: When Redis does not answer.
    """
    keys = bus.keys
    flat, *waiting = await bus.run(
        "ledger",
        (keys.ledger, keys.raw, keys.inbox, keys.enriched),
        *(COUNTED_BY_HAND, ENRICH, ENRICH, STORE),
    )
    counters = {
        name.decode(): int(value) for name, value in zip(flat[::2], flat[1::2], strict=True)
    }
    in_flight = None if -1 in waiting else sum(waiting)
    known = {name: counters.get(name, 0) for name in COUNTERS}
    return Ledger(**known, in_flight=in_flight)

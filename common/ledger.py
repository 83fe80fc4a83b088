"""The ledger: the counters that must balance."""

import asyncio
from contextlib import suppress
from typing import Final

import msgspec

from common.bus.connection import Bus
from common.bus.keys import ENRICH, STORE
from common.errors import BusUnavailable
from common.lifecycle import pause
from common.logs import logger

COUNTED_BY_HAND: Final = 2_000
"""Most unread entries counted one by one where Redis cannot tell how many there are.

An entry takes it 13 µs, and it serves nobody else meanwhile.
"""

COUNTED_TO_RECONCILE: Final = 20_000
"""The same where it is done once in `EVERY_S`, so that a loss under a backlog is found."""

EVERY_S: Final = 30.0
"""Seconds between two looks whether the ledger balances."""

log = logger(__name__)


class Ledger(msgspec.Struct, frozen=True, kw_only=True):
    """Where every event that ever reached the bus is now, read at one instant.

    captured + redelivered
    = filtered + duplicates + stored + dead + purged + lost + in flight + unaccounted.

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
        lost: Taken off the bus by somebody else before they were settled: entries or dead
            letters deleted by hand, a consumer deleted that held some.
        redelivered: Settled before and on their way again, or never counted: somebody
            destroyed a consumer group or set it back, added entries by hand, or deleted
            `ha:raw`, which ingest then filled again.
        corrected_s: When `lost` or `redelivered` last grew, in seconds since 1970; 0: never.
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
    redelivered: int = 0
    corrected_s: int = 0
    in_flight: int | None = 0

    @property
    def unaccounted(self) -> int | None:
        """What the sum misses; 0 at every instant, unless somebody meddled with the streams.

        None while `in_flight` is not known.
        """
        if self.in_flight is None:
            return None
        settled = self.filtered + self.duplicates + self.stored + self.dead
        gone = self.purged + self.lost
        return self.captured + self.redelivered - settled - gone - self.in_flight


COUNTERS: Final = tuple(
    name for name in Ledger.__struct_fields__ if name not in {"in_flight", "corrected_s"}
)
"""Fields of the hash `ha:ledger`."""


async def read_ledger(bus: Bus) -> Ledger:
    """Read all counters and what is in flight in one step.

    Raises:
        BusUnavailable: When Redis does not answer.
    """
    ledger, _ = await _run(bus, "ledger", "read", COUNTED_BY_HAND)
    return ledger


async def reconcile(bus: Bus) -> Ledger:
    """Count what the sum misses as `lost`, what it has too much as `redelivered`, and say so.

    Every effect of habus is counted in the same step, so a sum that does not balance means that
    somebody else changed the streams. Where what is in flight is not known nothing is done.

    Raises:
        BusUnavailable: When Redis does not answer.
    """
    ledger, (correction, letters) = await _run(bus, "reconcile", "reconcile", COUNTED_TO_RECONCILE)
    if correction > 0:
        log.error(
            "Events are lost: somebody deleted entries, dead letters, or a consumer with entries",
            count=correction,
            dead_letters=max(0, letters),
        )
    elif correction < 0:
        log.error(
            "Events come again, or were never counted: somebody destroyed a consumer group or"
            " set it back, or added entries by hand",
            count=-correction,
        )
    return ledger


async def keep_balanced(bus: Bus, stop: asyncio.Event) -> None:
    """Reconcile the ledger every `EVERY_S` seconds until `stop` is set."""
    while not stop.is_set():
        with suppress(BusUnavailable):
            await reconcile(bus)
        await pause(stop, EVERY_S)


async def _run(bus: Bus, script: str, how: str, most: int) -> tuple[Ledger, tuple[int, int]]:
    """The ledger, and its correction: events lost (redelivered: negative), letters missing."""
    keys = bus.keys
    flat, letters, correction, gone, *waiting = await bus.run(
        script,
        (keys.ledger, keys.dead, keys.watermark, keys.raw, keys.inbox, keys.enriched),
        *(most, how, ENRICH, ENRICH, STORE),
    )
    counters = {name.decode(): value for name, value in zip(flat[::2], flat[1::2], strict=True)}
    known = {name: int(counters.get(name, 0)) for name in (*COUNTERS, "corrected_s")}
    in_flight = None if -1 in waiting else sum(waiting)
    # The stream itself knows best how many letters there are.
    ledger = Ledger(**{**known, "dead": letters}, in_flight=in_flight)
    return ledger, (correction, gone)

"""Room in Redis: who stops, and when, before it is full."""

import time
from typing import Final

import redis.exceptions as redis_errors

from common.bus.connection import Bus
from common.bus.keys import STORE
from common.bus.trim import FULL, share_of_memory, trim

HOLD_AT: Final = 0.60
"""Share of `maxmemory` at which ingest stops: what is left is for `enrich` and `store` to drain."""

STOP_AT: Final = 0.80
"""Share of `maxmemory` at which `enrich` stops forwarding; `store` never does."""

GO_ON_BELOW: Final = 0.75
"""Share below which it goes on."""

LOOK_EVERY_S: Final = 1.0
"""Seconds between two looks while there is plenty of room."""


class Room:
    """Whether `enrich` may append to `enriched`.

    Args:
        bus: Where the streams are.

    Attributes:
        share: Used share of `maxmemory` when it was last looked at; 0 without a limit.
        is_tight: Whether there is hardly any room. Who goes on all the same must be allowed to
            take the last of it: then nothing but its own going on can make room.
    """

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._look_again = 0.0
        self.share = 0.0
        self.is_tight = False

    async def is_short(self) -> bool:
        """Whether to wait: room is short, and `store` can make some by draining.

        What everyone has acknowledged is deleted first.

        Raises:
            BusUnavailable: When Redis does not answer.
        """
        now = time.monotonic()
        if not self.is_tight and self.share <= FULL and now < self._look_again:
            return False
        self._look_again = now + LOOK_EVERY_S
        limit = GO_ON_BELOW if self.is_tight else STOP_AT
        self.share = await share_of_memory(self._bus)
        if self.share >= limit:
            keys = self._bus.keys
            for stream in (keys.raw, keys.inbox, keys.enriched):
                await trim(self._bus, stream, 0.0)
            self.share = await share_of_memory(self._bus)
        self.is_tight = self.share >= limit
        return self.is_tight and await self._store_has_work()

    async def _store_has_work(self) -> bool:
        key = self._bus.keys.enriched
        try:
            stream = await self._bus.command("XINFO STREAM", key)
            groups = await self._bus.command("XINFO GROUPS", key)
        except redis_errors.ResponseError:  # there is none yet
            return False
        for group in groups:
            if group["name"] == STORE.encode():
                is_read = group["last-delivered-id"] == stream["last-generated-id"]
                return bool(group["pending"]) or not is_read
        return bool(stream["length"])

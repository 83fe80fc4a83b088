"""Spool → `ha:raw`: in order, each event once, whatever happens to Redis."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Final

from msgspec.structs import replace

from common.bus import INGEST, Bus, RawStream, Tally
from common.bus.room import HOLD_AT
from common.bus.trim import share_of_memory, trim
from common.errors import BusUnavailable, SpoolInUse, SpoolUnavailable
from common.heartbeat import Heartbeat, read_pulses
from common.lifecycle import Stopped, patiently, pause
from common.logs import OncePerMinute, logger
from ingest.spool import Spool

APPENDED_AT_ONCE: Final = 1000
"""Most events in one script: Redis serves nobody else while it runs, some 10 ms for so many.

With half as many each event costs the workers a twentieth more.
"""

GO_ON_BELOW: Final = 0.55
"""Share of `maxmemory` below which ingest goes on."""

LOOK_EVERY_S: Final = 1.0
"""Seconds between two looks at Redis' memory, and while it is full."""

TELL_EVERY_S: Final = 5.0
"""Seconds between two looks at the size of the spool."""

TRIM_EVERY_S: Final = 30.0
"""Seconds between two looks for rows of the spool that may go."""

log = logger(__name__)


class Delivery:
    """Sends what the spool holds; its own sign of how far it came is the stream's last id.

    Args:
        spool: Where events come from.
        bus: Where other ingests would be heard.
        heartbeat: Counts, and tells whether Redis is there.
        restore: Puts on the bus what must stand there before events do, should it be gone.
    """

    def __init__(
        self,
        spool: Spool,
        bus: Bus,
        heartbeat: Heartbeat,
        restore: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._restore = restore
        self._spool = spool
        self._bus = bus
        self._raw = RawStream(bus, spool.identity)
        self._rival_beats: set[str] = set()
        self._heartbeat = heartbeat
        self._latency = heartbeat.latency("spooled_to_raw")
        self._look_again = 0.0
        self._warn = OncePerMinute(log.warning)
        self._sent = 0
        self._opened_with: Tally | None = spool.tally

    async def keep_sending(self, stop: asyncio.Event) -> None:
        """Send until `stop` is set, then what is left; waits while Redis is away.

        Raises:
            SpoolInUse: When another spool writes the stream.
            Stopped: When `stop` is set while Redis is away or full; the rest stays in the spool.
        """
        while True:
            self._sent = await patiently(self._resume, stop, "Redis", self._redis)
            self._spool.sent = self._sent
            self._redis(None)
            try:
                await self._send(stop)
            except BusUnavailable as error:
                self._redis(error)
            else:
                return

    async def keep_trimmed(self, retention_s: float, max_bytes: int, stop: asyncio.Event) -> None:
        """Delete rows of the spool that were sent long ago, until `stop` is set."""
        while not stop.is_set():
            older_than_ms = int((time.time() - retention_s) * 1000)
            trim_spool = partial(self._spool.trim, self._sent, older_than_ms, max_bytes)
            await patiently(trim_spool, stop, "the disk")
            await pause(stop, TRIM_EVERY_S)

    async def keep_telling(self, stop: asyncio.Event) -> None:
        """Tell by heartbeat how large the spool is, and whether its file was damaged."""
        damage: SpoolUnavailable | None = None
        while not stop.is_set():
            with suppress(SpoolUnavailable):
                self._heartbeat.tell(**self._spool.measures())
            if self._spool.damage is not damage:
                damage = self._spool.damage
                self._heartbeat.dependency("spool", damage)
                self._heartbeat.dependency("spool", None)  # it was mended; `last_error` stays
            await pause(stop, TELL_EVERY_S)

    async def _wait_for_room(self, stop: asyncio.Event) -> None:
        """Return when Redis has room: events wait in the spool, which has more of it.

        Raises:
            BusUnavailable: When Redis does not answer.
            Stopped: When `stop` is set while Redis is full; the rest stays in the spool.
        """
        if time.monotonic() < self._look_again:
            return
        limit, share = HOLD_AT, await share_of_memory(self._bus)
        while share >= limit:
            limit = GO_ON_BELOW
            error = BusUnavailable(f"Redis is {share:.0%} full: events wait in the spool")
            self._redis(error)
            self._warn("full", str(error))
            if stop.is_set():
                raise Stopped(str(error))
            await pause(stop, LOOK_EVERY_S)
            keys = self._bus.keys
            for stream in (keys.raw, keys.inbox, keys.enriched):  # what everyone acknowledged
                await trim(self._bus, stream, 0.0)
            share = await share_of_memory(self._bus)
        if limit == GO_ON_BELOW:
            self._redis(None)
        self._look_again = time.monotonic() + LOOK_EVERY_S

    async def _resume(self) -> int:
        """Ask the stream how far it is; return the number of the row it belongs to."""
        owner = await self._raw.owner()
        if owner not in (None, self._spool.identity):
            await self._refuse_while_alive(owner)
            log.warning("Taking over the stream from a spool that is gone", spool=owner)
        position = await self._raw.position()
        sent = await self._spool.surely(lambda: self._sent_until(position))
        if self._restore is not None:
            await self._restore()
        # Our ids are lifted before the stream is ours: a crash between the two is harmless.
        await self._spool.lift(sent, position)
        await self._raw.own(position, self._opened_with)
        self._opened_with = None
        return sent

    async def _sent_until(self, position: tuple[int, int]) -> int:
        """Number of the last row that the stream has; 0 when it has, or had, none that we know.

        Where the position is no row of ours (the spool or Redis is from a backup, or somebody
        else wrote the stream), our newest row in the stream is looked for: rows were appended
        in order, so all before it were appended too, and none after it.
        """
        if self._spool.rows.holds(*position):
            return position[1]
        sent = 0
        oldest = await self._raw.oldest()
        numbers = self._spool.rows.numbers_from(*oldest) if oldest else range(0)
        while numbers:
            middle = (numbers.start + numbers.stop) // 2
            row = self._spool.rows.newest_event(range(numbers.start, middle + 1))
            if row is None:  # letters, which leave no trace in the stream
                numbers = range(middle + 1, numbers.stop)
            elif await self._raw.holds(row):
                sent = row.seq
                numbers = range(middle + 1, numbers.stop)
            else:
                numbers = range(numbers.start, row.seq)
        return sent

    async def _refuse_while_alive(self, owner: str) -> None:
        """Return when the ingest that wrote the stream is gone.

        Raises:
            BusUnavailable: When its heartbeat is still there; it may have died just now.
            SpoolInUse: When its heartbeat goes on.
        """
        rivals = [pulse for pulse in await read_pulses(self._bus, INGEST) if pulse.spool == owner]
        if not rivals:
            return
        beats = {pulse.beat for pulse in rivals}
        self._rival_beats = self._rival_beats or beats
        where = f"{rivals[0].name} on {rivals[0].host}"
        if beats != self._rival_beats:
            message = f"another ingest writes this stream ({where}): stop one of the two"
            raise SpoolInUse(message)
        message = f"another ingest wrote this stream ({where}); waiting until it is surely gone"
        raise BusUnavailable(message)

    async def _send(self, stop: asyncio.Event) -> None:
        told: Tally | None = None
        stopped = asyncio.create_task(stop.wait())
        try:
            while True:
                rows = await self._spool.after(self._sent, APPENDED_AT_ONCE)
                tally = self._spool.tally
                if rows and rows[-1].seq < self._spool.rows.end.seq:
                    # Not before all is there: a spool that is lost would be believed complete.
                    tally = replace(tally, complete_until="")
                if rows:
                    await self._wait_for_room(stop)
                if rows or tally != told:  # what a rule leaves out is counted, but has no row
                    await self._raw.append(rows, tally)
                    now_ms = time.time_ns() // 1_000_000
                    self._latency.add_ordered(rows, lambda row: row.ms, now_ms)
                    told = tally
                    self._sent = rows[-1].seq if rows else self._sent
                    self._spool.sent = self._sent
                    self._heartbeat.count(sent=len(rows))
                elif stop.is_set():
                    return
                else:
                    more = asyncio.create_task(self._spool.more())
                    await asyncio.wait([more, stopped], return_when=asyncio.FIRST_COMPLETED)
                    more.cancel()
        finally:
            stopped.cancel()

    def _redis(self, error: Exception | None) -> None:
        self._heartbeat.dependency("redis", error if isinstance(error, BusUnavailable) else None)

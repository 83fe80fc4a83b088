"""Follower: one who watches streams; it knows how far it is, and nothing is kept for it.

A follower that falls behind what `Live` keeps reads on from Redis at its own speed, so its
slowness costs nobody else, and no memory.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Final

from admin.live import Live
from admin.passage import Passage, entry_id_of
from common.bus.entry import Position, position_of

HEARTBEAT_S: Final = 15.0
"""Seconds of silence after which a comment says that we are still there."""

PAGE: Final = 50
"""Most entries that one look into Redis brings."""

CHUNK_BYTES: Final = 16_384
"""Bytes after which a chunk is full; one passage may be longer."""

SOONEST_S: Final = 0.02
"""Seconds between two chunks for one reader, in which passages gather."""

EACH_S: Final = 0.0005
"""Seconds that each reader adds to that, so that many do not take all the time."""

RETRY_MS: Final = 2000
"""Milliseconds after which a browser connects again."""

_PART: Final = re.compile(r"(raw|inbox|enriched|dead):([0-9]{1,19}-[0-9]{1,19})")


class Follower:
    """Follows some streams from a position of each.

    Args:
        live: Where they are.
        positions: Stream → the last entry it knows.
        wants: Tells by its entity id whether an event is wanted.
    """

    def __init__(
        self, live: Live, positions: Mapping[str, Position], wants: Callable[[str], bool]
    ) -> None:
        self._live = live
        self._at = dict(positions)
        self._wants = wants

    async def chunks(self) -> AsyncIterator[bytes]:
        """Server-sent events until all is over; comments where nothing happens.

        Raises:
            BusUnavailable: When Redis does not answer.
        """
        yield b"retry: %d\n%s\n" % (RETRY_MS, self._id())
        async with self._live.watching(tuple(self._at)):
            while not self._live.is_over:
                news = self._live.news
                before = dict(self._at)
                chunk = await self._look()
                if chunk:
                    yield chunk
                    await asyncio.sleep(SOONEST_S + EACH_S * self._live.watchers)
                elif before == self._at and not await _is_set(news, HEARTBEAT_S):
                    yield b": still here\n%s\n" % self._id()

    async def _look(self) -> bytes:
        """The next passages of all streams that are wanted, as far as they fit into a chunk."""
        parts: list[bytes] = []
        size = 0
        for name in self._at:
            for passage in await self._next(name):
                self._at[name] = passage.position
                if self._wants(passage.entity_id):
                    part = b"%sevent: %s\ndata: %s\n\n" % (self._id(), name.encode(), passage.json)
                    parts.append(part)
                    size += len(part)
                    if size > CHUNK_BYTES:
                        return b"".join(parts)
        return b"".join(parts)

    async def _next(self, name: str) -> list[Passage]:
        at, tail = self._at[name], self._live.tail(name)
        if tail.reaches(at):
            return tail.after(at)
        return await self._live.look(name, at, PAGE)

    def _id(self) -> bytes:
        return b"id: %s\n" % event_id(self._at).encode()


async def first_positions(
    live: Live, names: tuple[str, ...], known: Mapping[str, Position], backlog: int
) -> dict[str, Position]:
    """Where to begin: after what is known, else with the newest `backlog` entries.

    Raises:
        BusUnavailable: When Redis does not answer.
    """
    found: dict[str, Position] = {}
    for name in names:
        if name in known:
            found[name] = known[name]
        else:
            found[name] = await live.before_newest(name, backlog)
    return found


def event_id(positions: Mapping[str, Position]) -> str:
    """The id of a sent event: how far each stream was then, `raw:17-1,dead:16-0`."""
    return ",".join(f"{name}:{entry_id_of(at)}" for name, at in positions.items())


def positions_of(text: str) -> dict[str, Position]:
    """Read the id of a sent event.

    Raises:
        ValueError: When it is none.
    """
    parts = [_PART.fullmatch(part) for part in text.split(",")]
    known = [(part[1], position_of(part[2])) for part in parts if part]
    if len(known) != len(parts):
        raise ValueError("is no id of an event that was sent here, like `raw:1795189957539-7`")
    return dict(known)


async def _is_set(news: asyncio.Event, within_s: float) -> bool:
    try:
        async with asyncio.timeout(within_s):
            return await news.wait()
    except TimeoutError:
        return False

"""Live: the streams as they pass, read once for all who watch."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

from admin.passage import START, Passage, entry_id_of, passage_of
from common.bus.entry import Position, position_of
from common.bus.stream import Streams
from common.errors import PipelineError

KEPT: Final = 2000
"""Passages of a stream that are kept for those who read more slowly."""

KEPT_BYTES: Final = 4_194_304
"""Bytes of them."""

READ: Final = 500
"""Most entries of one read."""

WAIT_MS: Final = 2000
"""Milliseconds that one read waits; below the time after which Redis counts as away."""

EMPTY_S: Final = 0.02
"""Seconds after an empty read: fakeredis does not wait, and would starve everything else."""

CATCH_UPS: Final = 4
"""Looks into Redis at once, so that many slow readers take few connections and little memory."""

AGAIN_S: Final = 1.0
"""Seconds after which a Redis that went away is asked again."""


class Tail:
    """The newest passages of one stream; it grows while somebody watches.

    Whoever knows everything up to a position not below `floor` finds all that follows here;
    whoever knows less must look into Redis.

    Args:
        streams: Where the stream is.
        name: Its short name.
        told: Called when there is something new.
    """

    def __init__(self, streams: Streams, name: str, told: Callable[[], None]) -> None:
        self._streams = streams
        self._name = name
        self._told = told
        self._kept: deque[Passage] = deque()
        self._bytes = 0
        self.watchers = 0
        self.floor: Position | None = None

    def reaches(self, position: Position) -> bool:
        """Whether everything after this position is here."""
        return self.floor is not None and position >= self.floor

    def after(self, position: Position) -> list[Passage]:
        """What passed after a position that `reaches`, oldest first."""
        found: list[Passage] = []
        for passage in reversed(self._kept):
            if passage.position <= position:
                break
            found.append(passage)
        return found[::-1]

    async def grow(self) -> None:
        """Read on for ever; waits out that Redis is away."""
        last: Position | None = None
        while True:
            try:
                if last is None:
                    last = position_of(await self._streams.last_id(self._name))
                    self.floor = last
                last = await self._read(last)
            except PipelineError:
                await asyncio.sleep(AGAIN_S)

    async def _read(self, last: Position) -> Position:
        found = await self._streams.next_after(self._name, entry_id_of(last), READ, WAIT_MS)
        if not found:
            await asyncio.sleep(EMPTY_S)
            return last
        for entry in found:
            self._keep(passage_of(self._name, entry))
        self._told()
        return self._kept[-1].position

    def _keep(self, passage: Passage) -> None:
        self._kept.append(passage)
        self._bytes += len(passage.json)
        while len(self._kept) > KEPT or (self._bytes > KEPT_BYTES and len(self._kept) > 1):
            gone = self._kept.popleft()
            self._bytes -= len(gone.json)
            self.floor = gone.position


class Live:
    """All tails, and those who watch them.

    Args:
        streams: Where the streams are.
    """

    def __init__(self, streams: Streams) -> None:
        self._streams = streams
        self._tails: dict[str, Tail] = {}
        self._growing: dict[str, asyncio.Task[None]] = {}
        self._news = asyncio.Event()
        self._looks = asyncio.Semaphore(CATCH_UPS)
        self.watchers = self.coming = 0
        self.is_over = False

    @property
    def news(self) -> asyncio.Event:
        """Is set with the next passage, or when all is over; then there is another one."""
        return self._news

    def tail(self, name: str) -> Tail:
        """The tail of a stream that is watched."""
        return self._tails[name]

    @asynccontextmanager
    async def watching(self, names: Collection[str]) -> AsyncIterator[None]:
        """Let the tails of these streams grow meanwhile."""
        self.watchers += 1
        for name in names:
            self._begin(name)
        try:
            yield
        finally:
            self.watchers -= 1
            for name in names:
                self._end(name)

    async def look(self, name: str, after: Position, limit: int) -> list[Passage]:
        """What stands in Redis after a position, for those whom a tail does not reach.

        Raises:
            BusUnavailable: When Redis does not answer.
        """
        async with self._looks:
            found = await self._streams.after(name, entry_id_of(after), limit)
        return [passage_of(name, entry) for entry in found]

    @contextmanager
    def expecting(self) -> Iterator[None]:
        """Count one who will watch as soon as it is known from where."""
        self.coming += 1
        try:
            yield
        finally:
            self.coming -= 1

    async def before_newest(self, name: str, count: int) -> Position:
        """The position after which the newest so many entries of a stream stand.

        Raises:
            BusUnavailable: When Redis does not answer.
        """
        if not count:
            return position_of(await self._streams.last_id(name))
        async with self._looks:
            newest = await self._streams.newest(name, count + 1)
        return position_of(newest[-1].entry_id) if len(newest) > count else START

    def over(self) -> None:
        """Let everyone who watches go."""
        self.is_over = True
        self._tell()

    async def end_with(self, stop: asyncio.Event) -> None:
        """Be over when `stop` is set."""
        await stop.wait()
        self.over()

    def _begin(self, name: str) -> None:
        if name not in self._tails:
            self._tails[name] = Tail(self._streams, name, self._tell)
            self._growing[name] = asyncio.create_task(self._tails[name].grow())
        self._tails[name].watchers += 1

    def _end(self, name: str) -> None:
        self._tails[name].watchers -= 1
        if not self._tails[name].watchers:
            del self._tails[name]
            self._growing.pop(name).cancel()

    def _tell(self) -> None:
        told, self._news = self._news, asyncio.Event()
        told.set()

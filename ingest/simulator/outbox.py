"""What a client is still to be told: a queue, its writer, and Home Assistant's patience with it."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from ingest.simulator import frames
from ingest.simulator.mischief import Mischief
from ingest.simulator.settings import PENDING_MOST, PENDING_PEAK, Settings


class Waiting:
    """Messages on their way to a client.

    Attributes:
        messages: Complete messages, or event messages without their end.
        subscription: Whose event messages they are; 0: they are complete; -1: one payload that is
            sent as it is, alone.
        first: Number of the first change among them; 0: they are no changes.
        text: Whether the payload is text.
    """

    __slots__ = ("first", "messages", "subscription", "text")

    def __init__(
        self, messages: list[bytes], subscription: int, first: int, *, text: bool = True
    ) -> None:
        self.messages = messages
        self.subscription = subscription
        self.first = first
        self.text = text

    def joined(self) -> bytes:
        """All of them, separated by commas."""
        if self.subscription > 0:
            return frames.coalesced(self.messages, self.subscription)
        return b",".join(self.messages)


class Outbox:
    """The queue of one client.

    Args:
        socket: Where it is written to.
        settings: Of the home.
        mischief: What is switched on.
        drop: Called once when the client is too slow.
    """

    def __init__(
        self,
        socket: ServerConnection,
        settings: Settings,
        mischief: Mischief,
        drop: Callable[[], None],
    ) -> None:
        self.coalesces = False
        self.pending = 0
        self._socket = socket
        self._settings = settings
        self._mischief = mischief
        self._drop = drop
        self._closed = False
        self._waiting: deque[Waiting] = deque()
        self._taken: list[Waiting] = []
        self._something = asyncio.Event()
        self._room = asyncio.Event()
        self._peak: asyncio.TimerHandle | None = None

    def put(self, waiting: Waiting) -> bool:
        """Queue messages; the client is dropped when too many are there, or many for too long.

        Returns:
            False when they are not taken any more.
        """
        if self._closed:
            return False
        settings = self._settings
        patient = settings.waits_for_slow and not self._mischief.silent
        if self.pending >= PENDING_MOST and not patient:
            self._drop()
            return False
        self._waiting.append(waiting)
        self.pending += len(waiting.messages)
        self._something.set()
        if self.pending <= PENDING_PEAK:
            self._calm_down()
        elif not self._peak and not patient:
            peak_s = settings.flavour.peak_s if settings.peak_s < 0 else settings.peak_s
            self._peak = asyncio.get_running_loop().call_later(peak_s, self._lose_patience)
        return True

    async def room(self) -> None:
        """Wait until few messages are pending, or nobody takes them any more."""
        while self.pending > PENDING_PEAK and not self._mischief.silent:
            self._room.clear()
            await self._room.wait()

    async def write(self) -> None:
        """Write what is queued, until the socket is closed."""
        while True:
            while self._mischief.silent or not self._waiting:
                if self._mischief.silent:
                    await asyncio.sleep(0.02)
                else:
                    self._something.clear()
                    await self._something.wait()
            if self._mischief.slow_s:
                await asyncio.sleep(self._mischief.slow_s)
            try:
                await self._socket.send(self._next_frame(), text=self._taken[0].text)
            except ConnectionClosed:
                self._waiting.extendleft(reversed(self._taken))
                return
            self.pending -= sum(len(taken.messages) for taken in self._taken)
            if self.pending <= PENDING_PEAK:
                self._room.set()

    def close(self) -> Iterator[tuple[int, int]]:
        """Take nothing more; the numbers of the changes that were not written: first, last."""
        self._closed = True
        self._calm_down()
        left, self._waiting = self._waiting, deque()
        self.pending = 0
        self._room.set()
        return ((each.first, each.first + len(each.messages) - 1) for each in left if each.first)

    def _lose_patience(self) -> None:
        self._peak = None
        if self.pending >= PENDING_PEAK:
            self._drop()

    def _calm_down(self) -> None:
        if self._peak:
            self._peak.cancel()
            self._peak = None

    def _next_frame(self) -> bytes:
        """Take as much from the queue as one frame holds."""
        head = self._waiting[0]
        if head.subscription < 0 or not self.coalesces:
            message = head.messages.pop(0)
            self._taken = [Waiting([message], head.subscription, head.first, text=head.text)]
            head.first = head.first and head.first + 1
            if not head.messages:
                self._waiting.popleft()
            return self._taken[0].joined()
        self._taken, count = [], 0
        while self._waiting and self._waiting[0].subscription >= 0:
            count += len(self._waiting[0].messages)
            if self._taken and count > self._settings.frame_events:
                break
            self._taken.append(self._waiting.popleft())
        inside = b",".join([taken.joined() for taken in self._taken])
        several = len(self._taken) > 1 or len(self._taken[0].messages) > 1
        return b"[" + inside + b"]" if several else inside

"""The queue of one client, with a socket that is none."""

import asyncio

from websockets.exceptions import ConnectionClosedError

from ingest.simulator.mischief import Mischief
from ingest.simulator.outbox import Outbox, Waiting
from ingest.simulator.settings import Settings


class Socket:
    """Takes so many frames, then it is closed."""

    def __init__(self, takes: int) -> None:
        self.takes = takes
        self.frames: list[bytes] = []

    async def send(self, frame: bytes, *, text: bool) -> None:
        assert text
        if len(self.frames) == self.takes:
            raise ConnectionClosedError(None, None)
        self.frames.append(frame)


async def test_what_a_closed_socket_refused_is_unsent():
    """Frames that raised were not sent: one event alone, or all of a coalesced frame."""
    for coalesces, unsent in ((False, [(11, 12), (13, 14)]), (True, [(10, 12), (13, 14)])):
        socket = Socket(takes=0 if coalesces else 1)
        outbox = Outbox(socket, Settings(frame_events=3), Mischief(), lambda: None)
        outbox.coalesces = coalesces
        outbox.put(Waiting([b'{"a":1', b'{"a":2', b'{"a":3'], 7, 10))
        outbox.put(Waiting([b"{}"], 0, 0))
        outbox.put(Waiting([b'{"a":4', b'{"a":5'], 7, 13))
        await asyncio.wait_for(outbox.write(), 5)
        assert socket.frames == ([] if coalesces else [b'{"a":1,"id":7}'])
        left = list(outbox.close())
        numbers = [n for first, last in left for n in range(first, last + 1)]
        assert numbers == [n for first, last in unsent for n in range(first, last + 1)]
        assert not outbox.put(Waiting([b"{}"], 0, 0))

"""A TCP proxy that does to a connection what networks do: slow, silent, cut, refused, in crumbs."""

import asyncio
import socket
import struct
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from typing import Self

RESET = struct.pack("ii", 1, 0)
"""SO_LINGER on, zero seconds: closing sends RST instead of FIN."""


class ToxicProxy:
    """Stands between clients and a server, on one loopback port for all its life.

    Args:
        port: Of the server; it may come and go.

    Attributes:
        port: Of the proxy.
        latency_s: Seconds by which each piece is late, in both directions.
        bytes_per_s: Most bytes a second in each direction; 0: any.
        slice_bytes: Most bytes in one piece; 0: any.
        happened: What was done so far: `accepted`, `cut`, `late`, `sliced`, `held`, `limited`,
            `throttled`, each a count.
    """

    def __init__(self, port: int) -> None:
        self._server_port = port
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._ends: set[asyncio.StreamWriter] = set()
        self._flows = asyncio.Event()
        self._flows.set()
        self._limit: int | None = None
        self.port = 0
        self.latency_s = 0.0
        self.bytes_per_s = 0.0
        self.slice_bytes = 0
        self.happened: Counter[str] = Counter()

    async def __aenter__(self) -> Self:
        await self.up()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.down()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def up(self) -> None:
        """Accept connections; on the same port as before."""
        if self._server is None:
            self._server = await asyncio.start_server(
                self._meet, "127.0.0.1", self.port, reuse_address=True
            )
            self.port = self._server.sockets[0].getsockname()[1]

    async def down(self) -> None:
        """Refuse connections, and reset those that stand."""
        if self._server is not None:
            server, self._server = self._server, None
            server.close()
            self.cut()

    def cut(self) -> int:
        """Reset every connection that stands; return how many."""
        cut = len(self._ends) // 2
        self.happened["cut"] += cut
        for end in list(self._ends):
            _reset(end)
        return cut

    def hold(self) -> None:
        """Let nothing pass, in either direction; connections stand."""
        self._flows.clear()

    def let_go(self) -> None:
        """Let pass what was held, and what comes."""
        self._flows.set()

    def cut_after(self, size: int) -> None:
        """Reset the connection over which so many more bytes have come from the client."""
        self._limit = size

    async def heal(self) -> None:
        """Be a wire again."""
        self.latency_s = self.bytes_per_s = 0.0
        self.slice_bytes, self._limit = 0, None
        self.let_go()
        await self.up()

    async def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self.happened["accepted"] += 1
        # A cancellation that gets out is logged by asyncio's streams as if it were a defect.
        with suppress(asyncio.CancelledError):
            await self._joined(reader, writer)

    async def _joined(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            answers, upstream = await asyncio.open_connection("127.0.0.1", self._server_port)
        except OSError:
            _reset(writer)
            return
        self._ends |= {writer, upstream}
        there = asyncio.create_task(self._pump(reader, upstream, limited=True))
        back = asyncio.create_task(self._pump(answers, writer, limited=False))
        try:
            await asyncio.wait({there, back}, return_when=asyncio.FIRST_COMPLETED)
            # What the server said last is still to be heard, unless the connection was reset.
            if there.done() and not writer.transport.is_closing():
                await asyncio.wait({back}, timeout=0.05)
        finally:
            there.cancel()
            back.cancel()
            for end in (writer, upstream):
                self._ends.discard(end)
                end.close()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, limited: bool
    ) -> None:
        try:
            while data := await reader.read(2**16):
                for piece in self._pieces(data):
                    await self._delay(piece)
                    if limited and self._limit is not None and self._is_over(len(piece)):
                        writer.write(piece[: len(piece) // 2])
                        await writer.drain()
                        self.cut()
                        return
                    writer.write(piece)
                    await writer.drain()
        except OSError:  # a reset goes on as a reset
            _reset(writer)

    def _is_over(self, size: int) -> bool:
        assert self._limit is not None
        self._limit -= size
        if self._limit >= 0:
            return False
        self._limit = None
        self.happened["limited"] += 1
        return True

    def _pieces(self, data: bytes) -> Iterator[bytes]:
        size = self.slice_bytes or len(data)
        self.happened["sliced"] += size < len(data)
        for at in range(0, len(data), size):
            yield data[at : at + size]

    async def _delay(self, piece: bytes) -> None:
        if self.latency_s:
            self.happened["late"] += 1
            await asyncio.sleep(self.latency_s)
        if self.bytes_per_s:
            self.happened["throttled"] += 1
            await asyncio.sleep(len(piece) / self.bytes_per_s)
        if self.slice_bytes:
            await asyncio.sleep(0)
        if not self._flows.is_set():
            self.happened["held"] += 1
            await self._flows.wait()


def _reset(end: asyncio.StreamWriter) -> None:
    """Close with RST instead of FIN."""
    connection = end.get_extra_info("socket")
    if connection is not None and connection.fileno() >= 0:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    end.transport.abort()

"""A TCP proxy that can lose an answer: the request arrives and takes effect, nobody hears of it."""

import asyncio
from contextlib import suppress
from typing import Self
from urllib.parse import urlsplit, urlunsplit


class LossyProxy:
    """Stands between a client and a server, on a free loopback port.

    Args:
        url: Of the server.

    Attributes:
        lose_answer_to: A word of a request whose next answer is lost, and the connection with it.
        lost: Answers lost so far.
        refuses: Whether connections are refused.
    """

    def __init__(self, url: str) -> None:
        self._parts = urlsplit(url)
        self._server: asyncio.Server | None = None
        self._ends: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.lose_answer_to = b""
        self.lost = 0
        self.refuses = False

    @property
    def url(self) -> str:
        """URL of the proxy."""
        assert self._server is not None, "the proxy does not run"
        port = self._server.sockets[0].getsockname()[1]
        return urlunsplit(self._parts._replace(netloc=f"127.0.0.1:{port}"))

    def cut(self) -> None:
        """Break every connection that stands."""
        for end in list(self._ends):
            end.transport.abort()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._meet, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        if self._tasks:
            await asyncio.wait(self._tasks)
        await self._server.wait_closed()

    async def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        if self.refuses:
            writer.transport.abort()
            return
        answers, upstream = await asyncio.open_connection(self._parts.hostname, self._parts.port)
        self._ends |= {writer, upstream}
        asked: list[bytes] = []

        async def there() -> None:
            while data := await reader.read(2**16):
                asked.append(data)
                upstream.write(data)
                await upstream.drain()

        async def back() -> None:
            while data := await answers.read(2**16):
                if self.lose_answer_to and self.lose_answer_to in b"".join(asked):
                    self.lose_answer_to = b""
                    self.lost += 1
                    return
                asked.clear()
                writer.write(data)
                await writer.drain()

        async def pump(way: asyncio.Task[None]) -> None:
            with suppress(OSError):
                await way

        ways = [asyncio.create_task(there()), asyncio.create_task(back())]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for end in (writer, upstream):
                end.transport.abort()
                self._ends.discard(end)
            for way in ways:
                way.cancel()
            await asyncio.gather(*(pump(way) for way in ways), return_exceptions=True)

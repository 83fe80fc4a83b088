"""Somebody hostile: `python -m tests.fakes.attacker flood --port 8003 --token … --seconds 6`.

It ends after that time, and says on stdout as JSON what it sent and how it was answered.
"""

import argparse
import asyncio
import json
import re
import resource
import socket
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import suppress
from random import Random

_STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")

API = "/api/v1"

READ = (
    *("/", "/healthz", "/readyz", "/metrics", "/docs", "/openapi.json", "/nothing", "/login"),
    *(f"{API}/{path}" for path in ("health", "ledger", "streams", "dead-letters", "replays")),
    *(f"{API}/{path}" for path in ("entities", "events?limit=1000", "events/stats", "config")),
    *(f"{API}/streams/{name}/entries?limit=200" for name in ("raw", "enriched", "inbox", "dead")),
    *(f"{API}/events/recent?stream=raw&limit=1000", f"{API}/dead-letters/groups", "/%00/../etc"),
    *(f"{API}/dead-letters?limit=0", f"{API}/events?start_time=x", f"{API}/streams/%0d%0a/entries"),
)
"""Targets of GET: those that exist, those that do not, and what they do not take."""

RUBBISH = (
    b"\0" * 2000,
    b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03" + bytes(range(256)),
    b"GET / HTTP/9.9\r\n\r\n",
    b"GET / HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: evil.example.org\r\nX-Forwarded-For: 127.0.0.1\r\n\r\n",
    b"POST /api/v1/events HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n{}",
    b"POST /login HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\nzz\r\n",
    b"POST /login HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffffff\r\n",
    b"POST /login HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n\0garbage behind it\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nRange: bytes=" + b"0-1," * 3000 + b"\r\n\r\n",
)
"""What is no request, or hardly one."""


class Attacker:
    """Attacks one port until its time is over.

    Args:
        port: On loopback.
        token: Of admin; half of what is sent carries it.
        seconds: How long.
    """

    def __init__(self, port: int, token: str, seconds: float) -> None:
        self._port, self._token = port, token
        self._over = asyncio.get_running_loop().time() + seconds
        self._dice = Random(7)  # noqa: S311 - what can be repeated
        self.answers: Counter[str] = Counter()
        self.sent = self.sent_bytes = self.open = self.most_open = 0

    @property
    def is_over(self) -> bool:
        """Whether its time is over."""
        return asyncio.get_running_loop().time() >= self._over

    def head(self, line: str, *headers: str, known: bool | None = None) -> bytes:
        """The head of a request, with or without token."""
        known = self._dice.random() < 0.5 if known is None else known
        more = [f"Authorization: Bearer {self._token}"] if known else []
        if not known and self._dice.random() < 0.3:
            more = [f"Authorization: Bearer wrong-{self._dice.random()}"]
        return "\r\n".join(
            [f"{line} HTTP/1.1", "Host: localhost", *more, *headers, "", ""]
        ).encode()

    async def talk(
        self,
        pieces: AsyncIterator[bytes],
        *,
        answers: int = 1,
        patience_s: float = 5.0,
        most_bytes: int = 1 << 30,
        slowly: bool = False,
    ) -> None:
        """Send pieces on a connection of their own, and take down how it is answered.

        Args:
            pieces: What is sent.
            answers: Answers that are waited for.
            patience_s: Seconds to wait for one that is due.
            most_bytes: Hang up after so many bytes of the answer.
            slowly: Take the answer in crumbs.
        """
        client = socket.socket()
        client.setblocking(False)  # noqa: FBT003 - socket's own signature
        if slowly:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        loop = asyncio.get_running_loop()
        writer: asyncio.StreamWriter | None = None
        try:
            await loop.sock_connect(client, ("127.0.0.1", self._port))
            reader, writer = await asyncio.open_connection(sock=client, limit=4096)
            self.open += 1
            self.most_open = max(self.most_open, self.open)
            sending = asyncio.create_task(self._send(writer, pieces))
            try:
                await self._hear(reader, answers, patience_s, most_bytes, slowly=slowly)
            finally:
                sending.cancel()
                await asyncio.gather(sending, return_exceptions=True)
                self.open -= 1
        except TimeoutError:
            self.answers["none"] += 1
        except OSError:
            self.answers["cut"] += 1
        finally:
            client.close() if writer is None else writer.transport.abort()

    async def _send(self, writer: asyncio.StreamWriter, pieces: AsyncIterator[bytes]) -> None:
        with suppress(OSError):
            async for piece in pieces:
                writer.write(piece)
                self.sent_bytes += len(piece)
                await writer.drain()

    async def _hear(
        self,
        reader: asyncio.StreamReader,
        answers: int,
        patience_s: float,
        most_bytes: int,
        *,
        slowly: bool,
    ) -> None:
        self.sent += answers
        tail, heard, size = b"", 0, 0
        while heard < answers or size < most_bytes < 1 << 30:
            async with asyncio.timeout(patience_s):
                came = await reader.read(512 if slowly else 65_536)
            if not came:
                self.answers["cut"] += not heard
                return
            found = _STATUS.findall(tail + came)
            self.answers.update(status.decode() for status in found)
            heard, size = heard + len(found), size + len(came)
            tail = came[-12:] if not found else b""
            if slowly:
                await asyncio.sleep(0.02)

    # What it does

    async def flood(self) -> None:
        """Requests of all kinds, as many as go."""
        kind = self._dice.random()
        if kind < 0.2:
            await self.talk(_all(self._dice.choice(RUBBISH)), patience_s=2)
            return
        if kind < 0.35:
            path = self._dice.choice(("/login", f"{API}/events", f"{API}/dead-letters/1-1/replay"))
            body = self._dice.choice((b"{", b"[]", b'{"token":"x"}', b"token=x", b'{"\\ud800":1}'))
            method = self._dice.choice(("POST", "PUT", "DELETE"))
            length = f"Content-Length: {len(body)}"
            kind_of = self._dice.choice(("application/json", "application/x-www-form-urlencoded"))
            await self.talk(
                _all(self.head(f"{method} {path}", length, f"Content-Type: {kind_of}"), body)
            )
            return
        many = self._dice.choice((1, 1, 10, 40))
        path = self._dice.choice(READ)
        await self.talk(_all(self.head(f"GET {path}") * many), answers=many)

    async def slow(self) -> None:
        """Readers that do not read, heads that come byte by byte, bodies that never come."""
        kind = self._dice.random()
        if kind < 0.6:
            watch = self.head(f"GET {API}/events/live?stream=raw&backlog=200", known=True)
            await self.talk(_all(watch), answers=1 << 30, patience_s=600, slowly=True)
        elif kind < 0.8:
            head = self.head(f"GET {API}/ledger", "X-Endless: " + "a" * 2000)
            await self.talk(_crumbs(head, 0.3), patience_s=600)
        else:
            head = self.head(f"POST {API}/events", "Content-Length: 900")
            await self.talk(_crumbs(head, 0.3, at_once=len(head)), patience_s=600)

    async def bodies(self) -> None:
        """What has no end, or is deep, or is in very many parts."""
        post = f"POST {self._dice.choice(('/login', f'{API}/events', f'{API}/enrich/preview'))}"
        is_json = "Content-Type: application/json"
        is_form = "Content-Type: application/x-www-form-urlencoded"
        wrap = b'{"event_type":"x","data":%s}'
        kind: Callable[[], AsyncIterator[bytes]] = self._dice.choice(
            (
                lambda: _endless(
                    self.head(post, "Content-Length: 1073741824", is_json), b"[" * 65536
                ),
                lambda: _endless(self.head(post, "Content-Length: 1048576", is_json), b" " * 65536),
                lambda: _endless(
                    self.head(post, "Transfer-Encoding: chunked", is_json),
                    b"10000\r\n" + b" " * 65536 + b"\r\n",
                ),
                lambda: _endless(
                    self.head(post, "Transfer-Encoding: chunked", is_json), b"1\r\n \r\n" * 2000
                ),
                lambda: self._whole(post, is_json, wrap % _keys(1_000_000)),
                lambda: self._whole(post, is_json, wrap % _keys(80_000)),
                lambda: self._whole(post, is_json, wrap % (b"[" * 100_000 + b"]" * 100_000)),
                lambda: self._whole(
                    post, is_json, wrap % (b'{"a":' * 100_000 + b"1" + b"}" * 100_000)
                ),
                lambda: self._whole(post, is_json, wrap % (b"[" + b"1," * 400_000 + b"1]")),
                lambda: self._whole(post, is_form, b"a=b&" * 250_000),
                lambda: _all(b"GET /?q=", b"a" * 10_000_000, b" HTTP/1.1\r\nHost: a\r\n\r\n"),
                lambda: _all(self.head("GET /healthz", "X-Large: " + "a" * 10_000_000)),
                lambda: _all(self.head("GET /healthz", *(f"X-{n}: 1" for n in range(100_000)))),
                lambda: _endless(
                    self.head("GET /healthz")[:-2], b"X-Endless: " + b"a" * 4000 + b"\r\n"
                ),
            )
        )
        await self.talk(kind(), patience_s=10)

    def _whole(self, line: str, kind: str, body: bytes) -> AsyncIterator[bytes]:
        return _all(self.head(line, kind, f"Content-Length: {len(body)}"), body)

    async def heavy(self) -> None:
        """The most expensive things that the token allows, many at once, left half-way."""
        path = self._dice.choice(
            (
                "dead-letters/export?format=csv",
                "dead-letters/export",
                "dead-letters/export?text=nowhere",
                "dead-letters?text=nowhere&limit=200",
                "dead-letters?limit=200",
                "dead-letters?reason=rare&limit=200",
                "dead-letters/groups",
                "dead-letters/groups?text=nowhere",
                "streams/dead/entries?limit=200",
                "streams/raw/entries?limit=200",
                "events?limit=1000",
                "events/live?stream=raw&stream=dead&backlog=200",
            )
        )
        most = self._dice.choice((1, 5_000, 300_000, 20_000_000))
        slowly = self._dice.random() < 0.3
        head = self.head(f"GET {API}/{path}", "Connection: close", known=True)
        await self.talk(_all(head), most_bytes=most, patience_s=20, slowly=slowly)


KINDS: dict[str, tuple[Callable[[Attacker], Coroutine[None, None, None]], int]] = {
    "flood": (Attacker.flood, 64),
    "slow": (Attacker.slow, 900),
    "bodies": (Attacker.bodies, 24),
    "heavy": (Attacker.heavy, 40),
}
"""What it does, and how many at once."""


async def _all(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


async def _endless(head: bytes, piece: bytes) -> AsyncIterator[bytes]:
    yield head
    while True:
        yield piece
        await asyncio.sleep(0)


async def _crumbs(head: bytes, pause_s: float, at_once: int = 20) -> AsyncIterator[bytes]:
    yield head[:at_once]
    for at in range(at_once, len(head) + 100):
        await asyncio.sleep(pause_s)
        yield head[at : at + 1] or b" "
    await asyncio.sleep(3600)


def _keys(count: int) -> bytes:
    return b"{" + b",".join(b'"k%d":1' % n for n in range(count)) + b"}"


async def attack(kind: str, port: int, token: str, seconds: float) -> dict[str, object]:
    """Attack for so long; what was sent, and how it was answered."""
    attacker = Attacker(port, token, seconds)
    what, at_once = KINDS[kind]

    async def again() -> None:
        while not attacker.is_over:
            await what(attacker)
            await asyncio.sleep(0.001)

    tasks = [asyncio.create_task(again()) for _ in range(at_once)]
    _, late = await asyncio.wait(tasks, timeout=seconds)
    for task in late:
        task.cancel()
    await asyncio.gather(*late, return_exceptions=True)
    for task in tasks:
        if not task.cancelled():
            task.result()
    return {
        "sent": attacker.sent if kind != "slow" else attacker.most_open,
        "sent_mb": round(attacker.sent_bytes / 1e6, 1),
        "at_once": attacker.most_open,
        "answers": dict(sorted(attacker.answers.items())),
    }


def main() -> None:
    """Attack."""
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--token", required=True)
    parser.add_argument("--seconds", type=float, default=6)
    asked = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
    done = asyncio.run(attack(asked.kind, asked.port, asked.token, asked.seconds))
    sys.stdout.write(json.dumps(done) + "\n")


if __name__ == "__main__":
    main()

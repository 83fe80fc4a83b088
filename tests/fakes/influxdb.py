"""InfluxDB's HTTP API without InfluxDB, which counts what it is sent and can be told to misbehave.

In a test: `async with FakeInfluxDB() as influxdb: ...`. As a process:
`python -m tests.fakes.influxdb --port 8086 --file points.db`, told to misbehave by
`POST /fake/status?code=503&for_s=2` and asked by `GET /fake/counts`.
"""

import argparse
import asyncio
import contextlib
import gzip
import socket
import struct
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Self
from urllib.parse import parse_qs, urlsplit

import msgspec

from tests.fakes.influxdb_store import PRECISIONS, Kept, Refusal, refusal

FOR_EVER = float("inf")
VERSIONS = {1: "1.8.10", 2: "v2.7.12", 3: "3.11.2"}
REASONS = {200: "OK", 204: "No Content", 302: "Found", 400: "Bad Request"}


class Request(msgspec.Struct, frozen=True):
    """One HTTP request."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes = b""


class Fault(msgspec.Struct):
    """How to misbehave, and for how long."""

    kind: str
    until: float = FOR_EVER
    times: float = FOR_EVER
    code: int = 0
    body: bytes = b""
    headers: dict[str, str] = {}
    seconds: float = 0.0


class Hang(Exception):
    """Give no answer; the client waits."""


class Reset(Exception):
    """Tear the connection down."""


class FakeInfluxDB:
    """A server on a loopback port.

    Args:
        version: 1, 2 or 3: whose errors it words.
        token: What `Authorization` must hold; empty for anything.
        retention_s: Seconds after which points are refused as too old.
        file: Keeps the points in this SQLite file as well; with `fast` the bodies, as they came.
        fast: Only count lines and keep bodies: for benchmarks.

    Attributes:
        may_read: Whether the token is good for more than writing.
    """

    def __init__(  # noqa: PLR0913 - one for each property of a server
        self,
        *,
        version: int = 2,
        token: str = "token",  # noqa: S107 - of a fake
        org: str = "home",
        bucket: str = "home_assistant",
        retention_s: float | None = None,
        file: Path | None = None,
        fast: bool = False,
        port: int = 0,
    ) -> None:
        self.version, self.token, self.org, self.bucket = version, token, org, bucket
        self.port = port
        self.fast = fast
        self.may_read = True
        self._retention_s = retention_s
        self.kept = Kept(version, retention_s, None if fast else file)
        self.requests: list[Request] = []
        self.statuses: Counter[int] = Counter()
        self.counted = 0
        self.connections: set[asyncio.StreamWriter] = set()
        self._bodies = file.open("ab") if fast and file is not None else None
        self._fault: Fault | None = None
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """Base URL."""
        return f"http://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        await self.back()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.away()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.kept.close()
        if self._bodies is not None:
            self._bodies.close()

    # How it can misbehave. Each replaces the one before.

    def behave(self) -> None:
        """Stop misbehaving."""
        self._fault = None
        self.kept.retention_s = self._retention_s

    async def away(self) -> None:
        """Refuse connections and reset those that are open, until `back`."""
        if self._server is not None:
            self._server.close()
            for writer in list(self.connections):
                _reset(writer)
            await self._server.wait_closed()
            self._server = None

    async def back(self) -> None:
        """Listen again, on the same port."""
        if self._server is None:
            self._server = await asyncio.start_server(
                self._serve, "127.0.0.1", self.port, reuse_address=True
            )
            self.port = self._server.sockets[0].getsockname()[1]

    def away_for(self, seconds: float) -> None:
        """Be away from now on, so long."""

        async def absent() -> None:
            await self.away()
            await asyncio.sleep(seconds)
            await self.back()

        task = asyncio.get_running_loop().create_task(absent())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def status(  # noqa: PLR0913 - one for each part of an answer
        self,
        code: int,
        *,
        retry_after: str | None = None,
        message: str = "told to",
        body: bytes | None = None,
        for_s: float = FOR_EVER,
        times: float = FOR_EVER,
    ) -> None:
        """Answer every request with this status and InfluxDB's error body, or another body."""
        if body is None:
            body = refusal(self.version, code, "told", message).body
        headers = {} if retry_after is None else {"Retry-After": retry_after}
        self._misbehave(Fault("status", times=times, code=code, body=body, headers=headers), for_s)

    def unauthorized(self, for_s: float = FOR_EVER) -> None:
        """Refuse every token."""
        self.status(401, message="unauthorized access", for_s=for_s)

    def html(self, for_s: float = FOR_EVER) -> None:
        """Answer 200 with a web page, as a captive portal does."""
        self.status(200, body=b"<html>\xfcber</html>", for_s=for_s)

    def redirect(self, for_s: float = FOR_EVER) -> None:
        """Answer 302 to a place that would say 204."""
        headers = {"Location": f"{self.url}/fake/anything"}
        self._misbehave(Fault("status", code=302, headers=headers), for_s)

    def slow(self, seconds: float, for_s: float = FOR_EVER) -> None:
        """Wait so long before each answer."""
        self._misbehave(Fault("slow", seconds=seconds), for_s)

    def drip(self, seconds: float, times: float = FOR_EVER) -> None:
        """Send each byte of the answer so long after the one before."""
        self._misbehave(Fault("drip", seconds=seconds, times=times), FOR_EVER)

    def half_written_then_500(self, times: float = FOR_EVER) -> None:
        """Keep the first half of the points, at least one, and answer 500."""
        self._misbehave(Fault("half", times=times), FOR_EVER)

    def reset_in_body(self, times: float = FOR_EVER) -> None:
        """Reset the connection while the body is read; keep nothing."""
        self._misbehave(Fault("reset_in_body", times=times), FOR_EVER)

    def reset_in_reply(self, times: float = FOR_EVER) -> None:
        """Keep the points, then reset the connection within the answer."""
        self._misbehave(Fault("reset_in_reply", times=times), FOR_EVER)

    def store_then_time_out(self, times: float = FOR_EVER) -> None:
        """Keep the points, and never answer."""
        self._misbehave(Fault("hang", times=times), FOR_EVER)

    def fail_at(self, marker: str, code: int = 500, for_s: float = FOR_EVER) -> None:
        """Answer so to every write that holds this text, and keep nothing of it."""
        body = refusal(self.version, code, "internal error", "it makes me ill").body
        fault = Fault("marked", code=code, body=body, headers={"marker": marker})
        self._misbehave(fault, for_s)

    def take_at_most(self, size: float, for_s: float = FOR_EVER) -> None:
        """Answer 413 to every write of more bytes."""
        self._misbehave(Fault("limit", seconds=size), for_s)

    def forget_after(self, seconds: float) -> None:
        """Refuse points that are older, until told to `behave`."""
        self.kept.retention_s = seconds

    def say(self, reply: bytes, times: float = FOR_EVER) -> None:
        """Answer with exactly these bytes, status line and all, and close the connection."""
        self._misbehave(Fault("say", times=times, body=reply), FOR_EVER)

    def counts(self) -> dict[str, int]:
        """Points that stand, writes of points, how many of them were doubles, requests."""
        points = self.counted if self.fast else len(self.kept.points)
        writes = self.counted if self.fast else self.kept.writes
        return {
            "points": points,
            "writes": writes,
            "doubles": writes - points,
            "requests": sum(self.statuses.values()),
        }

    def _misbehave(self, fault: Fault, for_s: float) -> None:
        fault.until = asyncio.get_running_loop().time() + for_s
        self._fault = fault

    def _fault_now(self) -> Fault | None:
        fault = self._fault
        if fault is not None:
            fault.times -= 1
            if fault.times < 0 or asyncio.get_running_loop().time() > fault.until:
                fault = self._fault = None
        return fault

    # HTTP

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections.add(writer)
        try:
            while await self._one(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        except Reset:
            _reset(writer)
        except Hang:
            with contextlib.suppress(ConnectionError):
                await reader.read()
        except asyncio.CancelledError:
            _reset(writer)
        finally:
            self.connections.discard(writer)
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        first = await reader.readexactly(1)
        if first == _TLS:
            writer.write(b"HTTP/1.0 400 Bad Request\r\n\r\n")
            return False
        rest = await reader.readuntil(b"\r\n\r\n")
        head = (first + rest).decode("latin-1").split("\r\n")
        method, target, _ = head[0].split(" ")
        headers = {k.lower(): v.strip() for k, _, v in (h.partition(":") for h in head[1:] if h)}
        parts = urlsplit(target)
        query = {k: v[0] for k, v in parse_qs(parts.query, keep_blank_values=True).items()}
        told = parts.path.startswith("/fake/")
        fault = None if told else self._fault_now()
        length = int(headers.get("content-length", "0"))
        if fault is not None and fault.kind == "reset_in_body":
            await reader.readexactly(min(length, 1))
            raise Reset
        body = await reader.readexactly(length)
        request = Request(method, parts.path, query, headers, body)
        if not self.fast:
            self.requests.append(request)
        status, more, answer = self._told(request) if told else self._answer(request, fault)
        self.statuses[status] += 1
        if fault is not None and fault.kind == "say":
            writer.write(fault.body)
            await writer.drain()
            return False
        await self._send(writer, status, more, answer, fault)
        return True

    async def _send(
        self,
        writer: asyncio.StreamWriter,
        status: int,
        headers: Mapping[str, str],
        body: bytes,
        fault: Fault | None,
    ) -> None:
        lines = [f"HTTP/1.1 {status} {REASONS.get(status, 'Said')}"]
        lines += [f"X-Influxdb-Version: {VERSIONS[self.version]}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        lines += [] if status == 204 else [f"Content-Length: {len(body)}"]
        reply = "\r\n".join([*lines, "", ""]).encode() + (b"" if status == 204 else body)
        kind = fault.kind if fault else ""
        if kind == "slow" and fault:
            await asyncio.sleep(fault.seconds)
        if kind == "hang":
            raise Hang
        if kind == "reset_in_reply":
            writer.write(reply[:20])
            await writer.drain()
            raise Reset
        if kind == "drip" and fault:
            for byte in reply:
                writer.write(bytes([byte]))
                await writer.drain()
                await asyncio.sleep(fault.seconds)
            return
        writer.write(reply)
        await writer.drain()

    def _answer(  # noqa: C901, PLR0911 - a page, a return
        self, request: Request, fault: Fault | None
    ) -> tuple[int, Mapping[str, str], bytes]:
        if fault is not None and fault.kind == "status":
            return fault.code, fault.headers, fault.body
        match request.path:
            case "/ping" if self.version < 3:
                return 204, {}, b""
            case "/health" | "/ready" if self.version < 3:
                name = {"name": "influxdb", "status": "pass", "version": VERSIONS[self.version]}
                return 200, _JSON, msgspec.json.encode(name)
        no = self._no(request)
        if no is None and fault is not None:
            no = _refused_by(fault, request, self.version)
        if no is None:
            match request.path:
                case "/ping" | "/health":
                    return 200, _JSON, b'{"version":"3.11.2"}'
                case "/api/v2/write":
                    half = fault is not None and fault.kind == "half"
                    no = self._write(request, half=half)
                    if half:
                        message = "unexpected error writing points to database: timeout"
                        no = refusal(self.version, 500, "internal error", message)
                case "/query":
                    answer = self.kept.query(request.query.get("q", ""))
                    status = 400 if "error" in answer else 200
                    return status, _JSON, msgspec.json.encode(answer)
                case "/api/v2/buckets" if self.version == 2:
                    buckets = {"buckets": [{"name": self.bucket, "retentionRules": []}]}
                    return 200, _JSON, msgspec.json.encode(buckets)
                case _:
                    return 404, {"Content-Type": "text/plain"}, b"404 page not found\n"
        if no is None:
            return 204, {}, b""
        return no.status, {**_JSON, "X-Platform-Error-Code": no.code}, no.body

    def _no(self, request: Request) -> Refusal | None:
        """Why not at all: token, organisation, bucket."""
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        if self.token and (kind not in {"Token", "Bearer"} or token != self.token):
            said = {1: "authorization failed", 2: "unauthorized access", 3: "Unauthorized"}
            return refusal(self.version, 401, "unauthorized", said[self.version])
        if request.path == "/query" and not self.may_read:
            return refusal(self.version, 403, "forbidden", "insufficient permissions")
        bucket = request.query.get("bucket", request.query.get("db", self.bucket))
        org = request.query.get("org", self.org)
        if self.version == 2 and org != self.org:
            message = f'organization name "{org}" not found'
            return refusal(2, 404, "not found", message)
        if self.version == 2 and bucket != self.bucket:
            return refusal(2, 404, "not found", f'bucket "{bucket}" not found')
        if self.version == 1 and bucket != self.bucket:
            return refusal(1, 404, "", f'database not found: "{bucket}"')
        return None

    def _write(self, request: Request, *, half: bool) -> Refusal | None:
        ns_each = PRECISIONS.get(request.query.get("precision", "ns"))
        if ns_each is None:
            message = "invalid precision; valid precision units are ns, us, ms, and s"
            return refusal(self.version, 400, "invalid", message)
        body = request.body
        if request.headers.get("content-encoding") == "gzip":
            try:
                body = gzip.decompress(body)
            except (OSError, EOFError):
                message = "An internal error has occurred - check server logs"
                return refusal(self.version, 500, "internal error", message)
        if not self.fast:
            return self.kept.write(body.decode(), ns_each, first_half_only=half)
        self.counted += body.count(b"\n") + bool(body)
        if self._bodies is not None:
            self._bodies.write(body + b"\n")
            self._bodies.flush()
        return None

    def _told(self, request: Request) -> tuple[int, Mapping[str, str], bytes]:
        """Orders from another process: `/fake/NAME?argument=number`."""
        name = request.path.removeprefix("/fake/")
        if name == "counts":
            return 200, _JSON, msgspec.json.encode(self.counts())
        if name not in _ORDERS:
            return 404, {}, b"no such order"
        values = {
            key: value if key in {"retry_after", "message", "marker"} else float(value)
            for key, value in request.query.items()
        }
        if "code" in values:
            values["code"] = int(values["code"])
        getattr(self, name)(**values)
        return 204, {}, b""


_JSON = {"Content-Type": "application/json; charset=utf-8"}
_TLS = b"\x16"
"""First byte of a TLS handshake."""

_ORDERS = {
    *("behave", "away_for", "status", "unauthorized", "html", "redirect", "slow", "drip"),
    *("fail_at", "take_at_most", "forget_after"),
    *("half_written_then_500", "reset_in_body", "reset_in_reply", "store_then_time_out"),
}


def _refused_by(fault: Fault, request: Request, version: int) -> Refusal | None:
    """Whether the fault is about what a write holds."""
    if fault.kind == "marked" and fault.headers["marker"].encode() in request.body:
        return Refusal(fault.code, fault.body)
    if fault.kind == "limit" and len(request.body) > fault.seconds:
        message = "unable to read data: points batch is too large"
        return refusal(version, 413, "request too large", message)
    return None


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close with RST instead of FIN."""
    connection = writer.get_extra_info("socket")
    if connection is not None and connection.fileno() >= 0:
        linger = struct.pack("ii", 1, 0)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    writer.transport.abort()


async def main() -> None:
    """Serve until the process is ended; print the URL first."""
    parser = argparse.ArgumentParser(prog="python -m tests.fakes.influxdb")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--file", type=Path)
    parser.add_argument("--version", type=int, choices=(1, 2, 3), default=2)
    parser.add_argument("--token", default="token")
    parser.add_argument("--org", default="home")
    parser.add_argument("--bucket", default="home_assistant")
    parser.add_argument("--retention-s", type=float)
    parser.add_argument("--fast", action="store_true", help="count lines only")
    async with FakeInfluxDB(**vars(parser.parse_args())) as server:
        print(server.url, flush=True)  # noqa: T201 - this is how the parent learns it
        await asyncio.Event().wait()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main())

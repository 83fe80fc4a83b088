"""Debian's InfluxDB 1.6 on free ports, behind a proxy that gives it the paths of newer ones."""

import asyncio
import contextlib
import json
import subprocess
import time
from pathlib import Path
from typing import Self
from urllib.parse import parse_qsl, quote, urlencode, urlsplit
from urllib.request import urlopen

from tests.fakes.servers import free_port, require

_CONFIG = """
reporting-disabled = true
bind-address = "127.0.0.1:{rpc_port}"
[meta]
dir = "{folder}/meta"
[data]
dir = "{folder}/data"
wal-dir = "{folder}/wal"
query-log-enabled = false
[http]
bind-address = "127.0.0.1:{port}"
log-enabled = false
[monitor]
store-enabled = false
"""


class InfluxDBServer:
    """`influxd` with one database, and a proxy before it: `/api/v2/write` becomes `/write`.

    InfluxDB 1.6 has no `/api/v2/write` yet, and calls microseconds `u`.

    Args:
        folder: Where its data and its log lie.
        database: What `bucket` must say.
    """

    def __init__(self, folder: Path, database: str = "home_assistant") -> None:
        self.binary = require("influxd")
        self.database = database
        self.port = free_port()
        self.proxy_port = 0
        self._log = folder / "influxd.log"
        self._config = folder / "influxdb.conf"
        self._config.write_text(_CONFIG.format(folder=folder, port=self.port, rpc_port=free_port()))
        self._process: subprocess.Popen[bytes] | None = None
        self._proxy: asyncio.Server | None = None

    @property
    def url(self) -> str:
        """URL of the proxy, as INFLUXDB_URL takes it."""
        return f"http://127.0.0.1:{self.proxy_port}"

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self._start)
        self._proxy = await asyncio.start_server(self._pass_on, "127.0.0.1", self.proxy_port)
        self.proxy_port = self._proxy.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._proxy is not None:
            self._proxy.close()
            await self._proxy.wait_closed()
        await asyncio.to_thread(self._stop)

    async def ask(self, query: str) -> list[dict[str, object]]:
        """Return the rows of an InfluxQL query, each with its tags and `name`."""
        return await asyncio.to_thread(self._ask, query)

    def _start(self, within_s: float = 30.0) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [self.binary, "-config", str(self._config)], stdout=log, stderr=log
            )
        deadline = time.monotonic() + within_s
        while True:
            try:
                self._ask(f'CREATE DATABASE "{self.database}"')
            except OSError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    self._stop()
                    raise AssertionError(
                        f"influxd did not start:\n{self._log.read_text()[-2000:]}"
                    ) from None
                time.sleep(0.05)
            else:
                return

    def _stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def _ask(self, query: str) -> list[dict[str, object]]:
        url = f"http://127.0.0.1:{self.port}/query?db={quote(self.database)}&q={quote(query)}"
        data = b"" if query.startswith("CREATE") else None
        with urlopen(url, data, timeout=10) as reply:
            result = json.load(reply)["results"][0]
        return [
            {
                "name": series.get("name"),
                **series.get("tags", {}),
                **dict(zip(series["columns"], row, strict=True)),
            }
            for series in result.get("series", [])
            for row in series["values"]
        ]

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Hand one request to influxd and its answer back, then close."""
        upstream: asyncio.StreamWriter | None = None
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            first, *lines = head.split("\r\n")
            method, target, protocol = first.split(" ")
            lengths = [h for h in lines if h.lower().startswith("content-length:")]
            length = int(lengths[0].split(":")[1]) if lengths else 0
            kept = [h for h in lines if h and not h.lower().startswith("connection:")]
            answers, upstream = await asyncio.open_connection("127.0.0.1", self.port)
            request = [f"{method} {mapped(target)} {protocol}", *kept, "Connection: close", "", ""]
            upstream.write("\r\n".join(request).encode("latin-1"))
            upstream.write(await reader.readexactly(length))
            writer.write(await answers.read())
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            for end in filter(None, (writer, upstream)):
                end.close()
                with contextlib.suppress(OSError):
                    await end.wait_closed()


def mapped(target: str) -> str:
    """The same request in the words of InfluxDB 1.6."""
    parts = urlsplit(target)
    if parts.path != "/api/v2/write":
        return target
    query = dict(parse_qsl(parts.query))
    precision = {"us": "u"}.get(query.get("precision", "ns"), query.get("precision", "ns"))
    return "/write?" + urlencode({"db": query.get("bucket", ""), "precision": precision})

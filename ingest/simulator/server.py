"""The simulated home behind a port: it lives, tells its clients, and can be told to misbehave."""

import asyncio
import http
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from urllib.parse import parse_qsl, urlsplit
from uuid import uuid4

import msgspec
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.http11 import Request, Response

from ingest.simulator import happenings, oracle
from ingest.simulator.client import Client
from ingest.simulator.controls import Controls
from ingest.simulator.frames import encode
from ingest.simulator.happenings import Said
from ingest.simulator.home import NOT_RUNNING, RUNNING, SECOND, Home
from ingest.simulator.mischief import Mischief
from ingest.simulator.settings import Settings

WEBSOCKET_PATHS = ("/api/websocket", "/core/websocket")
"""Home Assistant's own path, and Supervisor's."""

CONTROL_PATH = "/simulator/"
"""Below it stand the controls, as `GET /simulator/drop?how=abort`."""

STEP_S = 0.005
"""Seconds between two batches, unless the rate asks for more or for less."""

IDLE_STEP_S = 0.1
"""Longest time in seconds in which a new rate goes unnoticed."""

BEHIND_S = 1.0
"""Seconds of changes that are made up for when the home was held up; older ones never happen."""

CLOSING_S = 2.0
"""Most seconds in which the connections have to end when the home is torn down."""

HEARTBEAT_S, PONG_S = 55.0, 27.5
"""Server's ping interval and patience. Source: homeassistant/components/websocket_api/http.py."""

MAX_MESSAGE_BYTES = 4 * 2**20
"""Longest message from a client. Source: aiohttp's default."""

WRITE_BUFFER_BYTES = 2**20
"""What is buffered before the queue fills.

Source: homeassistant/components/websocket_api/http.py.
"""


class Simulator(Controls):
    """A home that does not exist, behind Home Assistant's real protocol.

    Args:
        settings: What it is told; None: the defaults.
        demo: Believable numbers at some four events a second.

    Attributes:
        url: Of the WebSocket, once it is served.
        http_url: Of the server, for the controls.
        token: The access token that is accepted.
        rate: State changes a second; may be set at any time.
    """

    def __init__(self, settings: Settings | None = None, *, demo: bool = False) -> None:
        settings = settings or Settings()
        self.settings = (
            replace(settings, demo=True, rate=4.0, happenings_s=30.0) if demo else settings
        )
        self.token = self.settings.token
        self.rate = self.settings.rate
        self.url = self.http_url = ""
        self.mischief = Mischief()
        self.clients: set[Client] = set()
        self.tasks: set[asyncio.Task[object]] = set()
        self.sent = 0
        self._oracle: oracle.Oracle | None = None
        self._server: Server | None = None
        self._address = ("", 0)
        if self.settings.oracle:
            self._oracle = oracle.Oracle(self.settings.oracle, fsync=self.settings.oracle_fsync)
        run = self.settings.run or uuid4().hex[:12]
        self.home = Home(self.settings, run, self._oracle.write if self._oracle else None)

    @asynccontextmanager
    async def serve(self, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator["Simulator"]:
        """Live and listen as long as the context lasts.

        Args:
            host: Address to listen on.
            port: 0: any that is free.
        """
        moment, past_us = self.now_us(), int(self.settings.past_h * 3_600 * SECOND)
        self.home.live_through(moment - past_us, moment, 600 * SECOND)
        self.home.change(list(self.home.lives.values()), moment, sent=False)
        self._address = (host, port)
        await self.listen()
        living = [asyncio.create_task(self._live()), asyncio.create_task(self._let_things_happen())]
        try:
            yield self
        finally:
            for task in (*living, *self.tasks):
                task.cancel()
            for client in list(self.clients):
                client.socket.transport.abort()
            server = self._server
            await self.stop_listening()
            if server:
                with suppress(TimeoutError):
                    await asyncio.wait_for(server.wait_closed(), CLOSING_S)
            with suppress(asyncio.CancelledError):
                await asyncio.gather(*living, *self.tasks, return_exceptions=True)
            if self._oracle:
                self._oracle.close()

    async def listen(self) -> None:
        """Accept connections; at the same port as before."""
        host, port = self._address
        self._server = await serve(
            self._meet, host, port, process_request=self._answer_http, max_size=MAX_MESSAGE_BYTES,
            compression="deflate" if self.settings.deflate else None, ping_interval=HEARTBEAT_S,
            ping_timeout=PONG_S, write_limit=WRITE_BUFFER_BYTES, close_timeout=1.0,
            server_header=None,
        )  # fmt: skip
        port = next(iter(self._server.sockets)).getsockname()[1]
        self._address = (host, port)
        self.http_url = f"http://{host}:{port}"
        self.url = f"ws://{host}:{port}{WEBSOCKET_PATHS[0]}"

    async def stop_listening(self) -> None:
        """Refuse connections; those that stand stay."""
        if self._server:
            self._server.close(close_connections=False)
            await asyncio.sleep(0)
            self._server = None

    def now_us(self) -> int:
        """Microseconds since 1970."""
        return time.time_ns() // 1_000

    @property
    def told(self) -> bool:
        """Whether anybody would hear of a state change now."""
        return any(client.wants(happenings.STATE_CHANGED) for client in self.clients)

    def unsent(self, client: Client, first: int, last: int) -> None:
        """Correct the oracle: these changes never reached the socket."""
        others = any(other.wants(happenings.STATE_CHANGED) for other in self.clients - {client})
        if self._oracle and not others:
            self._oracle.write([oracle.UNSENT % (first, last)])

    def publish(self, said: list[Said]) -> None:
        """Tell every client that wants it, with the mischief that is switched on."""
        late_s = self.mischief.late_s
        for event_type, events in self.mischief.disturbed(said):
            if late_s:
                asyncio.get_running_loop().call_later(late_s, self._tell, event_type, events, 0)
            else:
                quiet = self.mischief.quiet and event_type == happenings.STATE_CHANGED
                self._tell(event_type, events, self.home.n - len(events) + 1 if quiet else 0)

    def _tell(self, event_type: str, events: list[bytes], first: int) -> None:
        for client in list(self.clients):
            client.tell(event_type, events, first)

    def change(self, count: int) -> None:
        """Let so many states change now, whatever the rate."""
        told = self.told
        events = self.home.happen(count, self.now_us(), sent=told)
        if told:
            self.sent += count
            self.publish([(happenings.STATE_CHANGED, events)])

    async def _live(self) -> None:
        done = 0
        while True:
            rate = self.rate
            step_s = _step_s(rate, self.settings.frame_events)
            now = time.time()
            await asyncio.sleep(step_s - now % step_s)
            due = int(time.time() * rate)
            if rate != self.rate or rate <= 0 or self.home.phase != RUNNING or due < done:
                done = int(time.time() * self.rate)
                continue
            done = max(done, due - int(rate * BEHIND_S) - 1)
            count = _whole_frames(due - done, self.settings.frame_events)
            done += count
            if count:
                self.change(count)
            if self.settings.waits_for_slow:
                for client in list(self.clients):
                    await client.outbox.room()

    async def _let_things_happen(self) -> None:
        turn = 0
        while self.settings.happenings_s:
            await asyncio.sleep(self.settings.happenings_s)
            if self.home.phase == RUNNING:
                self.publish(happenings.everyday(self.home, turn, self.now_us(), sent=self.told))
                turn += 1

    async def _meet(self, socket: ServerConnection) -> None:
        client = Client(socket, self)
        self.clients.add(client)
        if self.mischief.deaf or self.mischief.silent:
            socket.transport.pause_reading()
        try:
            await client.converse()
        finally:
            self.clients.discard(client)

    async def _answer_http(self, socket: ServerConnection, request: Request) -> Response | None:
        parts = urlsplit(request.path)
        if parts.path.startswith(CONTROL_PATH):
            arguments = {
                key: _value(text) for key, text in parse_qsl(parts.query, keep_blank_values=True)
            }
            status, body = self.obey(parts.path.removeprefix(CONTROL_PATH), arguments)
            return socket.respond(http.HTTPStatus(status), encode(body).decode() + "\n")
        if parts.path not in WEBSOCKET_PATHS:
            return socket.respond(http.HTTPStatus.NOT_FOUND, "404: Not Found")
        if self.mischief.bad_gateway or self.home.phase == NOT_RUNNING:
            return socket.respond(http.HTTPStatus.BAD_GATEWAY, "502: Bad Gateway")
        return None


def _whole_frames(due: int, frame_events: int) -> int:
    """How many changes happen now, when so many are due: the rest of a frame waits for the next."""
    return due if due < frame_events else due - due % frame_events


def _step_s(rate: float, frame_events: int) -> float:
    """Seconds between two batches."""
    if rate <= 0:
        return IDLE_STEP_S
    return min(IDLE_STEP_S, max(1 / rate, min(STEP_S, frame_events / rate)))


def _value(text: str) -> object:
    """A value of a query string: JSON where it is, else text."""
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text

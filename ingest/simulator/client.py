"""One client of the simulated home: its side of the conversation is answered here."""

import asyncio
import os
import select
from collections.abc import Coroutine
from typing import Any, Protocol

import msgspec
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from ingest.simulator import commands, frames
from ingest.simulator.answers import answer
from ingest.simulator.home import Home
from ingest.simulator.mischief import Mischief
from ingest.simulator.outbox import Outbox, Waiting
from ingest.simulator.settings import Settings

CLOSE_FRAME = b"\x88\x02\x03\xe8"
"""A close frame with code 1000, as a server sends it. Source: RFC 6455, section 5.5.1."""


class Household(Protocol):
    """What a client needs to know of the home it speaks with."""

    settings: Settings
    home: Home
    mischief: Mischief

    def unsent(self, client: "Client", first: int, last: int) -> None:
        """Changes with these numbers were taken out of a client's queue."""


class Client:
    """One connection."""

    def __init__(self, socket: ServerConnection, household: Household) -> None:
        self.socket = socket
        self.household = household
        self.subscriptions: dict[int, str | None] = {}
        """Id of each subscription, and its event type; None: all."""
        self.outbox = Outbox(socket, household.settings, household.mischief, self._drop)
        self.gone = False
        self._last_id = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def converse(self) -> None:
        """Speak with the client until it goes or is dropped."""
        try:
            if await self._authenticates():
                self.start(self.outbox.write())
                async for frame in self.socket:
                    if not self._understands(frame):
                        await self.socket.close(1000)
        except ConnectionClosed:
            pass
        finally:
            self.end()

    def tell(self, event_type: str, events: list[bytes], first: int) -> None:
        """Queue events for every subscription that wants them; drop the client when it is too slow.

        Args:
            event_type: Of all of them.
            events: Messages without their end.
            first: Number of the first change; 0: they are no changes.
        """
        most = self.household.settings.frame_events
        for subscription, wanted in list(self.subscriptions.items()):
            if wanted is None or wanted == event_type:
                for at in range(0, len(events), most):
                    part = events[at : at + most]
                    numbered = first and first + at
                    if not self.outbox.put(Waiting(part, subscription, numbered)) and numbered:
                        self.household.unsent(self, numbered, numbered + len(part) - 1)

    def send(self, message: bytes) -> None:
        """Queue one complete message."""
        self.outbox.put(Waiting([message], 0, 0))

    def send_alone(self, payload: bytes, *, text: bool) -> None:
        """Queue a frame that is sent as it is."""
        self.outbox.put(Waiting([payload], -1, 0, text=text))

    def wants(self, event_type: str) -> bool:
        """Whether any subscription is for this type."""
        return any(wanted is None or wanted == event_type for wanted in self.subscriptions.values())

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Let something run as long as the client is there."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def hang_up(self) -> None:
        """End the connection as this version of Home Assistant does when it has had enough."""
        if self.household.settings.flavour.says_goodbye:
            await self.socket.close(1000)
        else:
            self.socket.transport.close()

    async def linger(self, seconds: float) -> None:
        """Send a close frame, then wait until the client has closed its side or time is up."""
        transport = self.socket.transport
        transport.write(CLOSE_FRAME)
        transport.pause_reading()
        poll, end = select.poll(), asyncio.get_running_loop().time() + seconds
        descriptor = os.dup(transport.get_extra_info("socket").fileno())
        try:
            poll.register(descriptor, getattr(select, "POLLRDHUP", select.POLLHUP))
            while not poll.poll(0) and asyncio.get_running_loop().time() < end:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        finally:
            os.close(descriptor)
        transport.abort()

    def end(self) -> None:
        """Let go of everything; what was still to be sent is reported as unsent."""
        self.gone = True
        for task in self._tasks:
            task.cancel()
        for first, last in self.outbox.close():
            self.household.unsent(self, first, last)
        self.subscriptions.clear()

    def _drop(self) -> None:
        self.end()
        self.start(self.hang_up())

    async def _authenticates(self) -> bool:
        household = self.household
        version = household.settings.flavour.version
        await self.socket.send(
            frames.encode({"type": "auth_required", "ha_version": version}), text=True
        )
        try:
            async with asyncio.timeout(household.settings.auth_timeout_s):
                frame = await self.socket.recv()
            message = msgspec.json.decode(frame) if isinstance(frame, str) else None
        except TimeoutError:
            await self.hang_up()
            return False
        except (msgspec.DecodeError, UnicodeDecodeError):
            message = None
        if message is None:
            await self.socket.close(1000)
            return False
        problem = commands.auth_problem(message)
        if problem:
            await self.socket.send(
                frames.encode({"type": "auth_invalid", "message": problem}), text=True
            )
        elif (
            message.get("access_token") != household.settings.token
            or household.mischief.refuses_token
        ):
            await self.socket.send(commands.INVALID_AUTH, text=True)
        else:
            await self.socket.send(
                frames.encode({"type": "auth_ok", "ha_version": version}), text=True
            )
            if not household.mischief.hangs_up_after_auth:
                return True
        await self.socket.close(1000)
        return False

    def _understands(self, frame: str | bytes) -> bool:
        if isinstance(frame, bytes):
            return bool(frame)  # Home Assistant ignores a binary frame, and closes at an empty one
        try:
            said = msgspec.json.decode(frame)
        except msgspec.DecodeError:
            return False
        for message in said if isinstance(said, list) else [said]:
            self._obey(message)
        return True

    def _obey(self, message: Any) -> None:  # noqa: ANN401 - whatever the client sent
        refused = commands.refusal(message, self._last_id, self.household.settings)
        if refused is None or refused[1]:
            self._last_id = message["id"]
        reply = refused[0] if refused else answer(self, message)
        if reply is not None:
            self.send(reply)

"""One connection, from the handshake to its end: everything it says goes to the spool."""

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import Final
from zlib import crc32

from common.bus import INGEST
from common.bus.entry import Field, fields_of
from common.bus.letter import Burial, letter
from common.errors import HomeAssistantUnavailable, MalformedEvent
from common.event import LIVE, Event, event_id, time_of
from common.heartbeat import Heartbeat
from common.lifecycle import patiently
from common.logs import logger
from common.pace import gather_s
from ingest.backfill import Backfill
from ingest.connection import Socket
from ingest.entity_filter import EntityFilter
from ingest.frames import Frames
from ingest.history import History
from ingest.missing import Missing
from ingest.on_request import Requests
from ingest.parse import parsed
from ingest.protocol import (
    Answer,
    Authenticated,
    Captured,
    Conversation,
    CoreConfigChanged,
    LostEvent,
    Refused,
    RegistryChanged,
)
from ingest.snapshot import Snapshots
from ingest.spool import Spool

PAUSE_S: Final = 0.01
"""Shortest time between two commits, in which events gather; longer when they come thick."""

GREETING_S: Final = 20.0
"""Seconds in which Home Assistant must have greeted us and accepted the token."""

UNREADABLE: Final = "unreadable"
"""Event type in the dead letter of a message that is no event."""

DAMAGED: Final = "the spool was damaged: connecting again, to fetch what it may have lost"
"""Why a connection is ended by us."""

log = logger(__name__)


class _Heard:
    """What a batch of frames carried.

    Attributes:
        events: In the order in which they came.
        removals: Those of them by which an entity was removed.
        unreadable: A likeness and the dead letter of each message that is no event.
    """

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.removals: list[Event] = []
        self.unreadable: list[tuple[Event, list[Field]]] = []


class Capture:
    """Understands what one connection says.

    Args:
        conversation: The protocol's side of the connection.
        snapshots: Asks for registries and states.
        missing: What was missed before this connection.
        spool: Where events go.
        passes: The user's rules.
        requests: What people ask to have fetched.
        home: Name of the home.
        event_types: Event types that are captured.
        heartbeat: Counts, and tells that Home Assistant is there.
        worker: Name of this worker, for dead letters.
    """

    def __init__(  # noqa: PLR0913 - the one place where all of ingest meets
        self,
        conversation: Conversation,
        snapshots: Snapshots,
        missing: Missing,
        spool: Spool,
        passes: EntityFilter,
        *,
        requests: Requests,
        home: str,
        event_types: Sequence[str],
        heartbeat: Heartbeat,
        worker: str,
    ) -> None:
        self._conversation = conversation
        self._snapshots = snapshots
        self._missing = missing
        self._spool = spool
        self._filter = passes
        self._home = home
        self._heartbeat = heartbeat
        self._worker = worker
        self._history = History(conversation)
        self._backfill = Backfill(
            *(self._history, snapshots, spool, missing, passes.passes),
            requests=requests,
            home=home,
            event_types=event_types,
            heartbeat=heartbeat,
        )
        self._is_greeted = False
        self._sending = asyncio.Lock()

    async def everything(self, socket: Socket, frames: Frames, stop: asyncio.Event) -> None:
        """Spool what comes until `stop` is set.

        Raises:
            HomeAssistantUnavailable: When the connection ends; all that came is spooled.
            AuthenticationFailed: When the token is refused.
            InvalidSetting: When an event type of the user is refused.
        """
        self._history.send = partial(self._send, socket)
        greeting = asyncio.get_running_loop().call_later(GREETING_S, self._not_greeted, frames)
        tasks = [
            asyncio.create_task(_read(socket, frames)),
            asyncio.create_task(_hang_up(socket, stop)),
            asyncio.create_task(self._backfill.fill(self._ask_states, stop)),
        ]
        for task in tasks:
            task.add_done_callback(partial(_tell_unforeseen, frames))
        try:
            await patiently(lambda: self._missing.begin(_now_us()), stop, "the disk")
            while True:
                started = time.monotonic()
                batch = await self._next(frames)
                if batch is not None and not batch:
                    return
                came = await self._understand(batch, stop) if batch else 0
                # What still waits is spooled first; then the reader says how the connection ended.
                with suppress(HomeAssistantUnavailable):
                    await self._send(socket)
                due = 0.0 if frames.is_pressing else started + gather_s(PAUSE_S, came)
                await asyncio.sleep(max(0.0, due - time.monotonic()))
        except HomeAssistantUnavailable:
            await patiently(lambda: self._missing.begin(_now_us()), stop, "the disk")
            raise
        finally:
            greeting.cancel()
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    async def _send(self, socket: Socket) -> None:
        """Send what was asked; ids must come in order, whoever asked.

        Raises:
            HomeAssistantUnavailable: When the socket is closed.
        """
        async with self._sending:
            for text in self._conversation.to_send():
                await socket.send(text)

    async def _ask_states(self) -> None:
        self._snapshots.ask()
        await self._history.send()

    def _not_greeted(self, frames: Frames) -> None:
        if not self._is_greeted:
            message = (
                f"Home Assistant did not greet us within {GREETING_S:g} s; it hangs, or "
                "HA_WEBSOCKET_URL leads elsewhere"
            )
            frames.end(HomeAssistantUnavailable(message))

    async def _next(self, frames: Frames) -> deque[bytes] | None:
        """All frames that wait; None when it was time to ask for a new snapshot instead."""
        due_in = self._snapshots.due_in()
        with suppress(TimeoutError):
            async with asyncio.timeout(due_in):
                return await frames.take()
        self._snapshots.ask()
        return None

    async def _understand(self, frames: deque[bytes], stop: asyncio.Event) -> int:
        """Spool what frames carry; when one breaks the conversation, what came before it.

        Each frame is let go of once it is understood: its memory, which is in the cache, is
        what the events are kept in.

        Returns:
            How many events they carried.

        Raises:
            HomeAssistantUnavailable: When the conversation is broken, or the spool was damaged.
        """
        heard = _Heard()
        try:
            while frames:
                for happening in self._conversation.receive(frames.popleft()):
                    if type(happening) is Captured:
                        self._captured(happening.event, heard)
                    elif isinstance(happening, Answer):
                        if not self._history.answered(happening):
                            heard.events += self._snapshots.answered(happening)
                    else:
                        self._notice(happening)
        finally:
            if heard.events or heard.unreadable:
                await self._spooled(heard, stop)
        if self._missing.is_in_doubt:
            raise HomeAssistantUnavailable(DAMAGED)
        return len(heard.events)

    def _captured(self, raw: bytes, heard: "_Heard") -> None:
        try:
            event, is_removal = parsed(raw, self._home)
            heard.events.append(event)
            if is_removal:
                heard.removals.append(event)
            if not self._backfill.live_since:
                self._backfill.live_since = event.time
        except MalformedEvent as error:
            heard.unreadable.append(self._buried(raw, error))

    async def _spooled(self, heard: "_Heard", stop: asyncio.Event) -> None:
        wanted = [event for event in heard.events if self._filter.passes(event.entity_id)]
        filtered = len(heard.events) - len(wanted)
        now_ms = time.time_ns() // 1_000_000
        self._missing.hear(wanted, heard.removals)
        new = await patiently(
            lambda: self._spool.add(wanted, heard.unreadable, filtered=filtered, now_ms=now_ms),
            stop,
            "the disk",
            lambda error: self._heartbeat.dependency("spool", error),
        )
        duplicates = len(wanted) + len(heard.unreadable) - new
        self._heartbeat.count(spooled=new, duplicates=duplicates, filtered=filtered)

    def _notice(self, happening: object) -> None:
        match happening:
            case Authenticated(ha_version):
                log.info("Connected to Home Assistant", version=ha_version)
                self._heartbeat.dependency("home_assistant", None)
                self._is_greeted = True
                self._snapshots.ask()
            case RegistryChanged() | CoreConfigChanged():
                self._snapshots.ask_later()
            case Refused(event_type, error):
                log.warning(
                    "Home Assistant does not tell of a change; it is seen at the next connect",
                    event_type=event_type,
                    error=error.message,
                )
            case LostEvent(event_type, message):
                log.warning(
                    "Home Assistant could not send an event", event_type=event_type, error=message
                )
            case _:
                log.debug("Heard", happening=repr(happening))

    def _buried(self, raw: bytes, error: MalformedEvent) -> tuple[Event, list[Field]]:
        """A likeness of what is no event, and the flat fields of its dead letter."""
        now = time_of(time.time_ns() // 1000)
        likeness = Event(
            id=event_id(self._home, UNREADABLE, "", f"{now} {crc32(raw)}"),
            type=UNREADABLE,
            entity_id="",
            time=now,
            source=LIVE,
            home=self._home,
            data=str(error.detail.get("json", "")).encode(),
        )
        burial = Burial(
            stage=INGEST,
            origin="websocket",
            origin_id="",
            deliveries=1,
            worker=self._worker,
            at=now,
        )
        log.warning("Buried a message that is no event", error=str(error))
        return likeness, letter(fields_of(likeness), error, burial)


async def _read(socket: Socket, frames: Frames) -> None:
    """Fill the queue; never waits for a disk or for Redis."""
    try:
        async for frame in socket.frames():
            frames.put(frame)
    except HomeAssistantUnavailable as error:
        socket.abort()
        frames.end(error)
    else:
        frames.end()


def _tell_unforeseen(frames: Frames, task: asyncio.Task[None]) -> None:
    """Let what nobody foresaw end the capture, too: it must not go unnoticed."""
    if not task.cancelled() and (error := task.exception()) is not None:
        frames.end(error)


async def _hang_up(socket: Socket, stop: asyncio.Event) -> None:
    await stop.wait()
    socket.abort()


def _now_us() -> int:
    return time.time_ns() // 1000

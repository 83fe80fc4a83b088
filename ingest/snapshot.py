"""What is asked after each connect, and again when it changed: registries and states."""

import asyncio
import time
from functools import partial
from typing import Final

from common.bus import Bus
from common.errors import MalformedEvent
from common.event import Event
from common.lifecycle import patiently
from common.logs import logger
from common.registry import EMPTY, Registry
from ingest.parse import meaning_of, of_state, split_states
from ingest.protocol import REGISTRY_LISTS, Answer, Conversation

DEBOUNCE_S: Final = 1.0
"""Seconds in which more registry changes gather before the lists are read again."""

POSTPONED_S: Final = 30.0
"""Seconds for which changes that never cease can put that off."""

log = logger(__name__)


class Snapshots:
    """Asks one connection for registries and states, and makes sense of the answers.

    Args:
        conversation: Whom to ask.
        home: Name of the home.
        publish: Told each registry that is complete.

    Attributes:
        states: Entity → time of its last change, of the newest snapshot of states.
        meanings: Entity → what `meaning_of` its state says, of the same snapshot.
        registered: Entities of the registry.
        arrived: Set when a snapshot of states came, or when there will be none.
    """

    def __init__(self, conversation: Conversation, home: str, publish: "Publisher") -> None:
        self._conversation = conversation
        self._home = home
        self._publish = publish
        self._lists: dict[str, bytes] = {}
        self._changed_at: float | None = None
        self._due_at: float | None = None
        self.states: dict[str, str] = {}
        self.meanings: dict[str, bytes] = {}
        self.registered: frozenset[str] = frozenset()
        self.arrived = asyncio.Event()

    def ask(self) -> None:
        """Ask for everything; registries first, so that they are known when the states come."""
        self._changed_at = self._due_at = None
        self._lists.clear()
        for command in REGISTRY_LISTS.values():
            self._conversation.ask(command)
        self._conversation.ask("get_states")

    def ask_later(self) -> None:
        """Ask for everything again once the changes have ceased for `DEBOUNCE_S` seconds.

        Changes that do not cease put it off for `POSTPONED_S` seconds.
        """
        now = time.monotonic()
        self._changed_at = self._changed_at or now
        self._due_at = min(now + DEBOUNCE_S, self._changed_at + POSTPONED_S)

    def due_in(self) -> float | None:
        """Seconds until it is to be asked again; None when nothing changed."""
        return None if self._due_at is None else max(0.0, self._due_at - time.monotonic())

    def answered(self, answer: Answer) -> list[Event]:
        """Take in an answer; return the states in it as events."""
        if answer.error is not None:
            log.warning(
                "Home Assistant did not answer a question; asking again after the next connect",
                command=answer.command,
                error=f"{answer.error.code}: {answer.error.message}",
            )
        kinds = [kind for kind, command in REGISTRY_LISTS.items() if command == answer.command]
        # An older Home Assistant does not know floors; any other error is no empty list.
        if kinds and (answer.error is None or answer.error.code == "unknown_command"):
            self._lists[kinds[0]] = answer.result or b"[]"
            if len(self._lists) == len(REGISTRY_LISTS):
                registry = self._publish.registry(self._lists)
                self.registered = frozenset(each.entity_id for each in registry.entities)
                self._lists = {}
        if answer.command != "get_states":
            return []
        events = self._states(answer.result) if answer.result is not None else []
        self.arrived.set()
        return events

    def _states(self, result: bytes) -> list[Event]:
        events: list[Event] = []
        meanings: dict[str, bytes] = {}
        try:
            states = split_states(result)
        except MalformedEvent as error:
            log.warning("The snapshot of states cannot be read", error=str(error))
            return []
        for state in states:
            try:
                event = of_state(state, self._home)
            except MalformedEvent as error:
                log.warning("A state of the snapshot cannot be read", error=str(error))
            else:
                events.append(event)
                meanings[event.entity_id] = meaning_of(state)
        if events:
            self.states = {event.entity_id: event.time for event in events}
            self.meanings = meanings
        return events


class Publisher:
    """Puts the newest registry on the bus, whenever Redis is there.

    Args:
        bus: Where `ha:registry` is.
    """

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._newest: Registry | None = None
        self._changed = asyncio.Event()
        self.first = asyncio.Event()
        """Set when a registry stands on the bus."""

    def registry(self, lists: dict[str, bytes]) -> Registry:
        """Hand in the five lists as Home Assistant answered them; return the newest registry."""
        try:
            registry = Registry.decode(lists)
        except MalformedEvent as error:
            log.warning("The registries cannot be read; keeping those we had", error=str(error))
            return self._newest or EMPTY
        registry.version = time.time_ns() // 1_000_000
        self._newest = registry
        self._changed.set()
        return registry

    async def restore(self) -> None:
        """Put the newest registry on the bus again where it is not: Redis may have been emptied.

        Raises:
            BusUnavailable: When Redis does not answer.
        """
        if (newest := self._newest) is not None:
            fields = newest.encode()
            key = self._bus.keys.registry
            if await self._bus.read_field(key, "version") != fields["version"]:
                await self._bus.write_hash(key, fields)

    async def keep_publishing(self, stop: asyncio.Event) -> None:
        """Write each newest registry until cancelled.

        Raises:
            Stopped: When `stop` is set while Redis is away.
        """
        read = partial(self._bus.read_field, self._bus.keys.registry, "version")
        if await patiently(read, stop, "Redis"):
            self.first.set()
        while True:
            await self._changed.wait()
            self._changed.clear()
            if (newest := self._newest) is not None:
                fields = newest.encode()
                write = partial(self._bus.write_hash, self._bus.keys.registry, fields)
                await patiently(write, stop, "Redis")
                self.first.set()
                log.info(
                    "Read the home's registries",
                    areas=len(newest.areas),
                    devices=len(newest.devices),
                    entities=len(newest.entities),
                )

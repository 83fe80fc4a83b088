"""Heartbeat: what a worker says about itself, in a hash that expires when it dies."""

import asyncio
import json
import os
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Final, TypeVar

import msgspec

from common import __version__
from common.bus.connection import Bus
from common.bus.entry import number
from common.errors import BusUnavailable, TransientError
from common.event import time_of
from common.latency import Latency
from common.lifecycle import pause

EVERY_S: Final = 5.0
"""Seconds between two heartbeats."""

EXPIRES_S: Final = 20
"""Seconds after which a worker without heartbeat is gone."""

MAX_ERROR_CHARACTERS: Final = 1000
"""Longest error in a heartbeat; the rest is cut off."""

UP, DOWN = "up", "down"
"""State of a dependency."""

Decoded = TypeVar("Decoded")


class Pulse(msgspec.Struct, frozen=True, kw_only=True):
    """A heartbeat as it is read.

    Attributes:
        started: ISO 8601 in UTC, as is `beat`, the time of this heartbeat.
        progress: When it last finished something; empty when never.
        counters: What it has done since it started.
        latency: Hop → events in each bucket of `common.latency.BOUNDS_S` since it started.
        dependencies: Name → `up` or `down`, and the error where it is down.
        last_error: The last error it met; empty when none.
        spool: Of ingest: identity of the spool it has open.
        spool_unsent: Of ingest: events that wait in the spool.
        spool_bytes: Of ingest: what the spool's events take on the disk.
        spool_free_bytes: Of ingest: bytes that are free there.
        spool_event_bytes: Of ingest: what one event takes there on average.
    """

    stage: str
    name: str
    version: str = ""
    host: str = ""
    pid: int = 0
    started: str = ""
    beat: str = ""
    progress: str = ""
    counters: dict[str, int] = {}
    latency: dict[str, list[int]] = {}
    dependencies: dict[str, str] = {}
    last_error: str = ""
    spool: str = ""
    spool_unsent: int = 0
    spool_bytes: int = 0
    spool_free_bytes: int = 0
    spool_event_bytes: int = 0


class Heartbeat:
    """Beats for one worker.

    Args:
        bus: Where it is heard.
        stage: `ingest`, `enrich`, `store` or `admin`.
        name: Name of the worker.
        extra: More fields, for those who look for this very worker.
    """

    def __init__(
        self, bus: Bus, stage: str, name: str, extra: Mapping[str, str] | None = None
    ) -> None:
        self._bus = bus
        self._key = bus.keys.worker(stage, name)
        self._extra = dict(extra or {})
        self._started = _now()
        self._progress = ""
        self._counters: dict[str, int] = {}
        self._latency: dict[str, Latency] = {}
        self._dependencies: dict[str, str] = {}
        self._last_error = ""

    def count(self, **done: int) -> None:
        """Add to the counters; this is progress."""
        for name, times in done.items():
            self._counters[name] = self._counters.get(name, 0) + times
        self._progress = _now()

    def latency(self, hop: str) -> Latency:
        """What counts how long events take on a hop."""
        return self._latency.setdefault(hop, Latency())

    def dependency(self, name: str, error: TransientError | None) -> None:
        """Say that a dependency is up (None), or down and why."""
        text = str(error)[:MAX_ERROR_CHARACTERS]
        self._dependencies[name] = UP if error is None else f"{DOWN}: {text}"
        if error is not None:
            self._last_error = f"{_now()} {text}"

    def tell(self, **fields: int) -> None:
        """Set more fields of the heartbeats to come."""
        self._extra |= {name: str(value) for name, value in fields.items()}

    async def keep_beating(self, stop: asyncio.Event) -> None:
        """Beat every `EVERY_S` seconds until `stop` is set, then be gone at once."""
        while not stop.is_set():
            with suppress(BusUnavailable):
                await self.beat()
            await pause(stop, EVERY_S)
        with suppress(BusUnavailable):
            await self._bus.delete(self._key)

    async def beat(self) -> None:
        """Write one heartbeat, also when Redis is full: who is not heard is taken for dead.

        Raises:
            BusUnavailable: When Redis does not answer.
        """
        fields: dict[str, str | bytes | int] = {
            "version": __version__,
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "started": self._started,
            "beat": _now(),
            "progress": self._progress,
            "counters": json.dumps(self._counters),
            "latency": json.dumps({hop: taken.counts for hop, taken in self._latency.items()}),
            # Who is heard has Redis, if it says nothing worse.
            "dependencies": json.dumps({"redis": UP, **self._dependencies}),
            "last_error": self._last_error,
            **self._extra,
        }
        flat = (part for pair in fields.items() for part in pair)
        await self._bus.run("beat", [self._key], EXPIRES_S, *flat)


async def read_pulses(bus: Bus, stage: str = "*") -> list[Pulse]:
    """Read the heartbeats of all workers that are alive, or of those of one stage.

    Raises:
        BusUnavailable: When Redis does not answer.
    """
    found = await bus.hashes(bus.keys.worker(stage, "*"))
    return [_pulse(key, fields) for key, fields in found.items()]


def _pulse(key: str, fields: Mapping[str, bytes]) -> Pulse:
    stage, name = key.rsplit(":", 2)[1:]
    text = {field: value.decode("utf-8", "replace") for field, value in fields.items()}
    return Pulse(
        stage=stage,
        name=name,
        version=text.get("version", ""),
        host=text.get("host", ""),
        pid=number(fields.get("pid")),
        started=text.get("started", ""),
        beat=text.get("beat", ""),
        progress=text.get("progress", ""),
        counters=_decoded(fields.get("counters"), dict[str, int]),
        latency=_decoded(fields.get("latency"), dict[str, list[int]]),
        dependencies=_decoded(fields.get("dependencies"), dict[str, str]),
        last_error=text.get("last_error", ""),
        spool=text.get("spool", ""),
        spool_unsent=number(fields.get("spool_unsent")),
        spool_bytes=number(fields.get("spool_bytes")),
        spool_free_bytes=number(fields.get("spool_free_bytes")),
        spool_event_bytes=number(fields.get("spool_event_bytes")),
    )


def _decoded(text: bytes | None, shape: type[Decoded]) -> Decoded:
    """What a field holds as JSON; empty where somebody else wrote it."""
    try:
        return msgspec.json.decode(text or b"{}", type=shape)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return shape()


def _now() -> str:
    return time_of(time.time_ns() // 1000)

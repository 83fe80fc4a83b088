"""Desk: everything that a route or a command may ask or change."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from fastapi import Depends, Request

from admin import health
from admin.rates import Rates
from common import __version__
from common.bus import Bus, DeadLetters, StreamInfo, Streams
from common.errors import BusUnavailable
from common.heartbeat import Pulse, read_pulses
from common.ledger import Ledger, read_ledger
from common.registry import EMPTY, Registry
from common.sink import Sink


class Overview(msgspec.Struct, frozen=True, kw_only=True):
    """All numbers of the pipeline, read together; without Redis only that it is away."""

    redis_error: str | None = None
    pulses: Sequence[Pulse] = ()
    streams: Sequence[StreamInfo] = ()
    ledger: Ledger | None = None
    gaps: Sequence[dict[str, Any]] = ()


@dataclass(slots=True)
class Desk:
    """What admin works with.

    Attributes:
        bus: The pipeline.
        sink: Where events came to rest.
        home: Name of the home.
        rates: How fast events flow.
    """

    bus: Bus
    sink: Sink[Any]
    home: str
    rates: Rates = field(default_factory=Rates)
    _started: float = field(default_factory=time.monotonic)
    _registry: Registry = EMPTY

    @property
    def streams(self) -> Streams:
        """The four streams."""
        return Streams(self.bus)

    @property
    def letters(self) -> DeadLetters:
        """The dead letters."""
        return DeadLetters(self.bus)

    async def health(self, stage: str | None = None) -> health.Health:
        """Judge the pipeline, or one stage; also while Redis is away."""
        pulses, error = await self._pulses()
        now = datetime.now(UTC)
        if stage is not None:
            return health.one_stage(stage, pulses, error, now, version=__version__)
        uptime = time.monotonic() - self._started
        return health.judge(pulses, error, now, version=__version__, uptime=uptime)

    async def overview(self) -> Overview:
        """Read all numbers; also while Redis is away."""
        try:
            return Overview(
                pulses=await read_pulses(self.bus),
                streams=[await self.streams.info(name) for name in self.bus.keys.streams],
                ledger=await read_ledger(self.bus),
                gaps=await self.gaps(),
            )
        except BusUnavailable as error:
            return Overview(redis_error=str(error))

    async def gaps(self) -> list[dict[str, Any]]:
        """Times of which events are missing and not yet fetched from history.

        Raises:
            BusUnavailable: When Redis does not answer.
        """
        written = await self.bus.read_field(self.bus.keys.watermark, "gaps")
        gaps = json.loads(written or b"[]")
        return [gap for gap in gaps if isinstance(gap, dict)] if isinstance(gaps, list) else []

    async def registry(self) -> Registry:
        """What is known about the home beside its states; read again when it has changed.

        Raises:
            BusUnavailable: When Redis does not answer.
        """
        key = self.bus.keys.registry
        version = int(await self.bus.read_field(key, "version") or 0)
        if version != self._registry.version:
            self._registry = Registry.decode(await self.bus.read_hash(key))
        return self._registry

    async def _pulses(self) -> tuple[list[Pulse], str | None]:
        try:
            return await read_pulses(self.bus), None
        except BusUnavailable as error:
            return [], str(error)


def desk_of(request: Request) -> Desk:
    """Return the desk of the application that answers this request."""
    desk: Desk = request.app.state.desk
    return desk


TheDesk = Annotated[Desk, Depends(desk_of)]
"""A route's parameter."""

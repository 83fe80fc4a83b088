"""Desk: everything that a route or a command may ask or change."""

import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from fastapi import Depends, Request

from admin import health
from admin.durability import Weakness
from admin.effective import Setting
from admin.gaps import read_gaps
from admin.gate import Gate
from admin.jobs import Runner
from admin.known import Known, Lasts, known_entities
from admin.live import Live
from admin.rates import Rates
from admin.retention import FOR_EVER, Fate
from admin.who import habus_itself
from common import __version__
from common.bus import (
    ENRICH,
    STORE,
    Audit,
    Backfills,
    Bus,
    DeadLetter,
    DeadLetters,
    Filter,
    Replays,
    StreamInfo,
    Streams,
)
from common.bus.server import ServerInfo, describe
from common.errors import BusUnavailable, MalformedEvent
from common.event import Event, time_of
from common.heartbeat import Pulse, read_pulses
from common.ledger import COUNTERS, Ledger, read_ledger
from common.registry_reader import RegistryReader
from common.sink import Sink

if TYPE_CHECKING:
    from admin.preview import Outcome


class Overview(msgspec.Struct, frozen=True, kw_only=True):
    """All numbers of the pipeline, read together; without Redis only that it is away.

    Attributes:
        reasons: Stage and reason → dead letters now.
        per_second: Counter of the ledger → events a second in the last minute, where known.
    """

    redis_error: str | None = None
    weaknesses: Sequence[Weakness] | None = None
    pulses: Sequence[Pulse] = ()
    streams: Sequence[StreamInfo] = ()
    ledger: Ledger | None = None
    gaps: Sequence[dict[str, Any]] = ()
    server: ServerInfo | None = None
    reasons: Mapping[tuple[str, str], int] = {}
    per_second: Mapping[str, float] = {}


@dataclass(slots=True)
class Desk:
    """What admin works with.

    Attributes:
        bus: The pipeline.
        sink: Where events came to rest.
        home: Name of the home.
        name: Name of this worker.
        read_only: Whether nothing may be changed.
        settings: What counts in this process.
        retention_days: Days that dead letters stay; 0: for ever.
        fate: Which of them go soon, as it was lately.
        rates: How fast events flow.
        weaknesses: With which settings Redis may lose what it has; None while nobody has looked.
        registry: Reads what is known about the home beside its states.
        lasts: What each entity was last.
        live: The streams as they pass.
        letters: The dead letters.
        audit: Who did what to them.
        replays: Jobs that put many of them back.
        runner: Runs those jobs.
        gate: What reads all letters goes through it.
    """

    bus: Bus
    sink: Sink[Any]
    home: str
    name: str = "admin"
    read_only: bool = False
    settings: Sequence[Setting] = ()
    retention_days: float = 0
    fate: Fate = FOR_EVER
    rates: Rates = field(default_factory=Rates)
    gate: Gate = field(default_factory=Gate)
    weaknesses: Sequence[Weakness] | None = None
    letters: DeadLetters = field(init=False)
    audit: Audit = field(init=False)
    replays: Replays = field(init=False)
    runner: Runner = field(init=False)
    _started: float = field(default_factory=time.monotonic)
    registry: RegistryReader = field(init=False)
    lasts: Lasts = field(init=False)
    live: Live = field(init=False)

    def __post_init__(self) -> None:
        self.live = Live(self.streams)
        self.registry = RegistryReader(self.bus)
        self.lasts = Lasts(self.streams)
        self.letters = DeadLetters(self.bus)
        self.audit = Audit(self.bus)
        self.replays = Replays(self.bus)
        self.runner = Runner(self.bus, self.letters, habus_itself(), self.name)

    @property
    def backfills(self) -> Backfills:
        """What people asked ingest to fetch from history."""
        return Backfills(self.bus)

    @property
    def streams(self) -> Streams:
        """The four streams."""
        return Streams(self.bus)

    async def health(self, stage: str | None = None) -> health.Health:
        """Judge the pipeline, or one stage; also while Redis is away."""
        pulses, error = await self._pulses()
        signs = health.Signs(error, self.weaknesses or (), self.rates.latest, self.fate.in_words)
        now = datetime.now(UTC)
        if stage is not None:
            return health.one_stage(stage, pulses, signs, now, version=__version__)
        uptime = time.monotonic() - self._started
        return health.judge(pulses, signs, now, version=__version__, uptime=uptime)

    async def overview(self, *, by_reason: bool = True) -> Overview:
        """Read all numbers; also while Redis is away.

        Args:
            by_reason: Count dead letters by reason too: with very many of them it takes a moment.
        """
        try:
            return Overview(
                weaknesses=self.weaknesses,
                pulses=await read_pulses(self.bus),
                streams=[await self.streams.info(name) for name in self.bus.keys.streams],
                ledger=await read_ledger(self.bus),
                gaps=await read_gaps(self.bus),
                server=await describe(self.bus),
                reasons=await self._reasons() if by_reason else {},
                per_second={
                    name: rate
                    for name in COUNTERS
                    if (rate := self.rates.per_second(name)) is not None
                },
            )
        except BusUnavailable as error:
            return Overview(redis_error=str(error))

    async def known(self) -> list[Known]:
        """Everything that is known about each entity, in the order of their ids.

        Raises:
            BusUnavailable: When Redis does not answer.
        """
        return known_entities(await self.registry(), await self.lasts())

    async def preview(self, event: Event, *, enriched: bool) -> "Outcome":
        """What would become of an event, captured or enriched, as the home is known now.

        Raises:
            BusUnavailable: When Redis does not answer.
        """
        from admin.preview import preview  # noqa: PLC0415 - memory for those only who ask

        return preview(event, await self.registry(), self.sink, enriched=enriched)

    async def rehearse(self, letter: DeadLetter, data: bytes | None) -> "Outcome":
        """What would become of a letter that is put back, with other data where it is given.

        Raises:
            BusUnavailable: When Redis does not answer.
        """
        from admin.preview import fallen  # noqa: PLC0415 - memory for those only who ask

        is_enriched = letter.stage == STORE
        try:
            event = letter.event(data)
        except MalformedEvent as error:
            return fallen(STORE if is_enriched else ENRICH, error)
        return await self.preview(event, enriched=is_enriched)

    def foresee(self, fate: Fate) -> None:
        """Be told which dead letters go soon."""
        self.fate = fate

    def reading(self, wanted: Filter) -> AbstractContextManager[None]:
        """What finds letters by this filter happens inside; to find a text is to read them all.

        Raises:
            Refusal: When too many look for a text at once.
        """
        return nullcontext() if wanted.text is None else self.gate.entered()

    def now(self) -> str:
        """The time, ISO 8601 in UTC."""
        return time_of(time.time_ns() // 1000)

    async def _reasons(self) -> dict[tuple[str, str], int]:
        found: dict[tuple[str, str], int] = {}
        for group in await self.letters.groups(Filter()):
            key = group.cause.stage, group.cause.reason
            found[key] = found.get(key, 0) + group.count
        return found

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

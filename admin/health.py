"""How the pipeline is, from what its workers say about themselves."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime
from typing import Final, Literal

import msgspec
from pydantic import BaseModel, ConfigDict, Field

from admin.durability import Weakness
from common.bus.keys import ADMIN, INGEST, STAGES, STORE
from common.errors import MalformedEvent
from common.event import parse_time
from common.heartbeat import DOWN, EVERY_S, UP, Pulse
from common.ledger import Ledger

CORRECTED_WITHIN_S: Final = 86_400.0
"""Seconds for which a loss is news: a day, so that whoever looks every morning sees it."""

LATE_S: Final = 3 * EVERY_S
"""Seconds without heartbeat after which a worker is late."""

Status = Literal["healthy", "degraded", "unhealthy"]
"""healthy: all flows. degraded: something waits, nothing is lost. unhealthy: it stands still."""

_DEPENDENCIES: Final = {
    "home_assistant": (INGEST, ("home_assistant",)),
    "influxdb": (STORE, ("influxdb", "sqlite", "sink")),
}
"""Dependency → who knows about it, and under which names."""


class Dependency(BaseModel):
    """Something outside that habus needs; `unknown` while no worker has said anything."""

    status: Literal["up", "down", "unknown"]
    error: str | None = Field(default=None, description="Why it is down.", examples=[None])
    warnings: list[str] = Field(
        default_factory=list,
        description="What it may lose, and what to set; of Redis.",
        examples=[["Redis: it may lose two seconds; set appendfsync always"]],
    )


class Worker(BaseModel):
    """A worker as its last heartbeat tells."""

    model_config = ConfigDict(from_attributes=True)

    name: str = Field(examples=["attic"])
    host: str = Field(examples=["attic"])
    pid: int = Field(examples=[4711])
    version: str = Field(examples=["0.1.0"])
    started: str = Field(examples=["2026-11-20T15:00:00.000000+00:00"])
    beat: str = Field(description="Time of the heartbeat.", examples=["2026-11-20T15:44:33Z"])
    progress: str = Field(
        description="When it last finished something; empty: never.",
        examples=["2026-11-20T15:44:33Z"],
    )
    counters: dict[str, int] = Field(examples=[{"captured": 1234}])
    dependencies: dict[str, str] = Field(examples=[{"home_assistant": "up"}])
    last_error: str = Field(description="Empty when none.", examples=[""])


class Service(BaseModel):
    """All workers of one stage; `unhealthy` when there is none."""

    status: Status
    workers: list[Worker]


class Health(BaseModel):
    """The whole pipeline, or one stage of it.

    - `unhealthy`: Redis is away, or a stage has no worker.
    - `degraded`: a worker says that a dependency is down, or its heartbeat is late: then events
      wait, and nothing is lost. Or Redis is set so that it may lose much, or the ledger missed
      events within the last day: `warnings` says which.
    - `healthy`: everything else.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "status": "degraded",
                    "service": "habus",
                    "version": "0.1.0",
                    "uptime": 3600.5,
                    "dependencies": {
                        "home_assistant": {"status": "up", "error": None},
                        "redis": {"status": "up", "error": None},
                        "influxdb": {"status": "down", "error": "InfluxDB does not answer"},
                    },
                    "services": {"store": {"status": "degraded", "workers": []}},
                }
            ]
        }
    )

    status: Status
    service: str = Field(description="`habus`, or the stage that was asked for.")
    version: str
    uptime: float = Field(description="Seconds since this admin, or that stage, started.")
    dependencies: dict[str, Dependency] = Field(
        description="`home_assistant`, `redis` and `influxdb` (the sink, whichever it is)."
    )
    services: dict[str, Service] = Field(description="Stage → its workers.")
    warnings: list[str] = Field(
        default_factory=list,
        description="What a person should see to, in words.",
        examples=[["2 events are unaccounted for"]],
    )


class Signs(msgspec.Struct, frozen=True):
    """What is known beside the heartbeats.

    Attributes:
        redis_error: Why Redis does not answer; None when it does.
        weaknesses: With which settings it may lose what it has.
        ledger: Where every event was lately; None while nobody has looked.
        notes: What else a person should know, in words.
    """

    redis_error: str | None = None
    weaknesses: Sequence[Weakness] = ()
    ledger: Ledger | None = None
    notes: Sequence[str] = ()


def judge(  # noqa: PLR0913 - what it judges, and what it says of itself
    pulses: Sequence[Pulse],
    signs: Signs,
    now: datetime,
    *,
    version: str,
    uptime: float,
    stages: Sequence[str] = STAGES,
    service: str = "habus",
) -> Health:
    """Say how the pipeline, or some stages of it, are.

    Args:
        pulses: The heartbeats of all living workers.
        signs: What is known beside them.
        now: The time, with a zone.
        version: Version of this admin.
        uptime: Seconds since this admin started.
        stages: Those that are asked for.
        service: What is asked for.
    """
    heard = [pulse for pulse in pulses if pulse.stage in stages]
    services = {
        stage: _service(stage, [p for p in heard if p.stage == stage], now) for stage in stages
    }
    dependencies = {
        "home_assistant": _dependency("home_assistant", heard),
        "redis": Dependency(
            status="down" if signs.redis_error else "up",
            error=signs.redis_error,
            warnings=[str(weakness) for weakness in signs.weaknesses],
        ),
        "influxdb": _dependency("influxdb", heard),
    }
    states: set[str] = {found.status for found in services.values()}
    states |= {"unhealthy" if signs.redis_error else "healthy"}
    states |= {"degraded" for weakness in signs.weaknesses if weakness.is_wrong}
    lately = missed(signs.ledger, now)
    states |= {"degraded" for _ in lately}
    states |= {"degraded" for found in dependencies.values() if found.status == "down"}
    return Health(
        status=_worst(states),
        service=service,
        version=version,
        uptime=round(uptime, 1),
        dependencies=dependencies,
        services=services,
        warnings=[*lately, *signs.notes, *dependencies["redis"].warnings],
    )


def one_stage(
    stage: str, pulses: Sequence[Pulse], signs: Signs, now: datetime, *, version: str
) -> Health:
    """Say how one stage is: version and uptime are those of its oldest worker."""
    mine = [pulse for pulse in pulses if pulse.stage == stage]
    oldest = min(mine, key=lambda pulse: pulse.started, default=None)
    return judge(
        mine,
        signs,
        now,
        version=oldest.version if oldest else version,
        uptime=age_s(oldest.started, now) if oldest else 0.0,
        stages=(stage,),
        service=stage,
    )


def missed(ledger: Ledger | None, now: datetime) -> list[str]:
    """What the ledger missed or had too much lately, in words."""
    if ledger is None:
        return []
    found = []
    if ledger.unaccounted:
        found.append(f"{ledger.unaccounted} events are unaccounted for")
    if now.timestamp() - ledger.corrected_s < CORRECTED_WITHIN_S:
        at = datetime.fromtimestamp(ledger.corrected_s, UTC).isoformat()
        found.append(
            f"somebody changed the streams; the ledger was corrected at {at}:"
            f" {ledger.lost} events lost, {ledger.redelivered} redelivered so far"
        )
    return found


def age_s(time: str, now: datetime) -> float:
    """Seconds since a time; 0 for one in the future, or one that cannot be read."""
    try:
        return max(0.0, (now - parse_time(time)).total_seconds())
    except MalformedEvent:
        return 0.0


def _service(stage: str, pulses: Sequence[Pulse], now: datetime) -> Service:
    workers = [Worker.model_validate(pulse) for pulse in pulses]
    if not workers:
        # Whoever reads this answer knows that an admin is there.
        return Service(status="healthy" if stage == ADMIN else "unhealthy", workers=[])
    troubled = any(_is_troubled(pulse, now) for pulse in pulses)
    return Service(status="degraded" if troubled else "healthy", workers=workers)


def _is_troubled(pulse: Pulse, now: datetime) -> bool:
    is_late = age_s(pulse.beat, now) > LATE_S
    return is_late or any(said.startswith(DOWN) for said in pulse.dependencies.values())


def _dependency(name: str, pulses: Sequence[Pulse]) -> Dependency:
    stage, names = _DEPENDENCIES[name]
    said = [_said(pulse.dependencies, names) for pulse in pulses if pulse.stage == stage]
    known = [text for text in said if text]
    if not known:
        return Dependency(status="unknown")
    for text in known:
        if text != UP:
            return Dependency(status="down", error=text.removeprefix(f"{DOWN}: "))
    return Dependency(status="up")


def _said(dependencies: Mapping[str, str], names: Sequence[str]) -> str:
    return next((dependencies[name] for name in names if name in dependencies), "")


def _worst(states: AbstractSet[str]) -> Status:
    if "unhealthy" in states:
        return "unhealthy"
    return "degraded" if "degraded" in states else "healthy"

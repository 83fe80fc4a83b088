"""Backfills: asking ingest to fetch a time from Home Assistant's history."""

from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema, field_validator

from admin.desk import TheDesk
from admin.failure import Refusal, failures
from admin.names import NAME, is_name
from admin.routes.asked import Time
from admin.who import who_asks
from common.bus import BackfillJob, Deed
from common.event import format_time

router = APIRouter(prefix="/backfills", tags=["backfills"])

MOST_ENTITIES: Final = 1000
"""Names in one request."""

JobId = Annotated[
    str, Path(pattern=r"^[0-9a-f]{12}$", description="Its name.", examples=["3f6b1c2e4a90"])
]


class Wanted(BaseModel):
    """What to fetch."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    start: Time = Field(alias="from", description="From here on.", examples=["2026-11-20T15:00Z"])
    end: Time = Field(alias="to", description="Up to here.", examples=["2026-11-20T16:00Z"])
    entities: list[Annotated[str, WithJsonSchema({"type": "string", "pattern": NAME})]] = Field(
        default_factory=list,
        max_length=MOST_ENTITIES,
        description="Entity ids, or patterns such as `sensor.*_power`; none: every entity.",
        examples=[["sensor.kitchen"]],
    )

    @field_validator("entities")
    @classmethod
    def _are_names(cls, entities: list[str]) -> list[str]:
        for name in entities:
            if not is_name(name):
                raise ValueError(f"{name!r} is neither an entity id nor a pattern of ids")
        return [name.lower() for name in entities]


class BackfillState(BaseModel):
    """A request, and how far it is."""

    model_config = ConfigDict(populate_by_name=True)

    id: str = Field(examples=["3f6b1c2e4a90"])
    asked_at: str = Field(examples=["2026-11-20T16:10:00.000000+00:00"])
    start: str = Field(alias="from", examples=["2026-11-20T15:00:00.000000+00:00"])
    end: str = Field(alias="to", examples=["2026-11-20T16:00:00.000000+00:00"])
    entities: list[str] = Field(
        description="Entities, or patterns of them; empty: all.", examples=[["sensor.*_power"]]
    )
    state: Literal["waiting", "running", "done"]
    done_until: str = Field(
        description="Up to here history was asked for; empty: not begun.",
        examples=["2026-11-20T15:30:00.000000+00:00"],
    )
    progress: float = Field(description="From 0 to 1.", examples=[0.5])
    recovered: int = Field(description="Events that were not there before.", examples=[1234])
    gaps: list[dict[str, Any]] = Field(description="What history could not give.", examples=[[]])
    error: str = Field(
        description="Why nothing was asked for; empty when all is well.", examples=[""]
    )


class BackfillList(BaseModel):
    """All requests that are remembered, newest first."""

    backfills: list[BackfillState]


@router.post("", operation_id="askForBackfill", status_code=202, responses=failures(409, 413, 503))
async def ask(desk: TheDesk, request: Request, wanted: Wanted) -> BackfillState:
    """Ask ingest to fetch a time from history; it begins within seconds, while it is connected.

    409 when `to` is not later than `from`. An end that is to come is cut to now; where all of it is
    to come, `error` says so.
    """
    if wanted.end <= wanted.start:
        raise Refusal(409, "to: must be later than from", code="EMPTY_TIME")
    job = await desk.backfills.ask(
        format_time(wanted.start), format_time(wanted.end), wanted.entities, desk.now()
    )
    what = {"job": job.id, "from": job.start, "to": job.end, "entities": list(job.entities)}
    await desk.audit.add(
        Deed(who=who_asks(request), at=desk.now(), action="backfill", count=1, what=what)
    )
    return state_of(job)


@router.get("", operation_id="listBackfills", responses=failures(503))
async def listed(desk: TheDesk) -> BackfillList:
    """Every request that is remembered, newest first."""
    return BackfillList(backfills=[state_of(job) for job in await desk.backfills.list()])


@router.get("/{job_id}", operation_id="getBackfill", responses=failures(404, 503))
async def one(desk: TheDesk, job_id: JobId) -> BackfillState:
    """How far a request is."""
    return state_of(await desk.backfills.get(job_id))


@router.delete("/{job_id}", operation_id="cancelBackfill", responses=failures(404, 503))
async def cancel(desk: TheDesk, job_id: JobId) -> BackfillState:
    """Forget a request; one that runs ends. What it has fetched stays."""
    return state_of(await desk.backfills.cancel(job_id))


def state_of(job: BackfillJob) -> BackfillState:
    """The request as it is answered."""
    return BackfillState(
        id=job.id,
        asked_at=job.asked_at,
        start=job.start,
        end=job.end,
        entities=list(job.entities),
        state=job.state,
        done_until=job.done_until,
        progress=job.progress,
        recovered=job.recovered,
        gaps=list(job.gaps),
        error=job.error,
    )

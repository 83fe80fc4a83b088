"""Replay jobs: putting many letters back, watching it, cancelling it."""

from typing import Annotated, Any, Final, Literal

import msgspec
from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, Field

from admin.desk import TheDesk
from admin.failure import failures
from admin.jobs import end_job, start_job
from admin.routes.asked import PageLimit
from admin.routes.letters import Choice
from admin.who import who_asks
from common.bus import Filter, Job

router = APIRouter(tags=["dead letters"])

SLOWEST: Final = 0.1
"""Letters a second."""


class ReplayMany(Choice):
    """Which letters to put back, and how."""

    rate: float = Field(
        default=0,
        ge=0,
        le=100_000,
        strict=True,
        allow_inf_nan=False,
        description="Letters a second, 0.1 at least; 0: as fast as Redis takes them.",
        examples=[100],
    )
    force: bool = Field(default=False, strict=True, description="Expired letters, too.")


class ReplayJob(BaseModel):
    """A replay job and how far it is."""

    job: str = Field(description="Its name.", examples=["1795189957539-3f6b1c2e"])
    state: Literal["running", "done", "cancelled", "failed"]
    filter: dict[str, str] = Field(description="Which letters.", examples=[{"stage": "store"}])
    by_ids: bool = Field(description="Only letters that were named.", examples=[False])
    rate: float = Field(description="Letters a second; 0: as fast as possible.", examples=[0])
    force: bool
    total: int = Field(description="Letters that matched at the start.", examples=[412])
    replayed: int = Field(description="Stand in a stream again.", examples=[400])
    gone: int = Field(description="Somebody else had replayed or deleted them.", examples=[0])
    expired: int = Field(description="Left alone: they would only fall again.", examples=[12])
    left: int = Field(description="Still to do.", examples=[0])
    who: str = Field(examples=["token"])
    created_at: str = Field(examples=["2026-11-20T15:44:33.435789+00:00"])
    updated_at: str = Field(examples=["2026-11-20T15:44:33.435789+00:00"])
    finished_at: str | None = Field(examples=[None])
    error: str | None = Field(description="Why it failed.", examples=[None])


class Started(ReplayJob):
    """The job was written down, and runs."""

    success: Literal[True] = True


class Counted(BaseModel):
    """How many letters would be put back."""

    success: Literal[True] = True
    dry_run: Literal[True] = True
    count: int = Field(examples=[412])


class JobPage(BaseModel):
    """A page of replay jobs, newest first."""

    replays: list[ReplayJob]
    next_cursor: str | None = Field(
        description="Ask for the next page with it; null: this was the last.", examples=[None]
    )


JOB_NAME: Final = r"^[0-9]{1,19}-[0-9a-f]{8}$"

JobName = Annotated[str, Path(pattern=JOB_NAME, examples=["1795189957539-3f6b1c2e"])]


@router.post(
    "/dead-letters/replay",
    operation_id="replayDeadLetters",
    status_code=202,
    response_model=Started,
    responses={200: {"model": Counted, "description": "dry_run"}, **failures(409, 413, 503)},
)
async def replay_many(
    desk: TheDesk, request: Request, response: Response, how: ReplayMany
) -> Started | Response:
    """Put many back where they fell; answers at once with a job that can be watched.

    Letters that fall after this moment are not meant. Two jobs for the same letters put each back
    once. A restart of admin does not end a job. 409 when `expected_count` is not what matches.
    """
    with desk.reading(how.wanted):
        ids = await desk.letters.chosen(how.wanted, how.ids)
    if how.dry_run:
        return Response(Counted(count=len(ids)).model_dump_json(), media_type="application/json")
    job = await start_job(
        *(desk.replays, how.wanted, ids),
        named=how.ids is not None,
        rate=max(how.rate, SLOWEST) if how.rate else 0.0,
        force=how.force,
        expected=how.expected_count,
        who=who_asks(request),
    )
    desk.runner.look()
    response.headers["Location"] = f"../replays/{job.job}"
    return Started(**_parts(job))


@router.get("/replays", operation_id="listReplays", responses=failures(503))
async def replays(
    desk: TheDesk,
    limit: PageLimit = 50,
    cursor: Annotated[
        str | None,
        Query(
            pattern=JOB_NAME,
            description="`next_cursor` of the page before.",
            examples=["1795189957539-3f6b1c2e"],
        ),
    ] = None,
) -> JobPage:
    """Replay jobs, newest first; those that ended are kept for 30 days."""
    found = await desk.replays.newest(limit + 1, cursor)
    return JobPage(
        replays=[job_of(job) for job in found[:limit]],
        next_cursor=found[limit - 1].job if len(found) > limit else None,
    )


@router.get("/replays/{job}", operation_id="getReplay", responses=failures(404, 503))
async def replay(desk: TheDesk, job: JobName) -> ReplayJob:
    """How far a replay job is."""
    return job_of(await desk.replays.get(job))


@router.delete("/replays/{job}", operation_id="cancelReplay", responses=failures(404, 503))
async def cancel(desk: TheDesk, request: Request, job: JobName) -> ReplayJob:
    """Cancel a job; what was put back stays put back. A job that has ended stays as it is."""
    found = await desk.replays.get(job)
    await end_job(found, desk.replays, "cancelled", who_asks(request))
    return job_of(await desk.replays.get(job))


def job_of(job: Job) -> ReplayJob:
    """The answer's shape of a job."""
    return ReplayJob(**_parts(job))


def _parts(job: Job) -> dict[str, Any]:
    return {
        **msgspec.structs.asdict(job),
        "filter": filter_of(job.wanted),
        "by_ids": job.ids is not None,
        "left": job.left,
    }


def filter_of(wanted: Filter) -> dict[str, str]:
    """A filter under the names that a query has."""
    names = {"since": "start_time", "until": "end_time"}
    parts = msgspec.to_builtins(wanted)
    return {names.get(name, name): value for name, value in parts.items()}

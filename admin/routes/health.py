"""Is it alive, is it ready, how is it: health, ledger, metrics."""

import asyncio
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Response
from pydantic import BaseModel, ConfigDict, Field

from admin.desk import TheDesk
from admin.failure import RETRY_AFTER_S, Refusal, failures
from admin.gaps import read_gaps
from admin.health import Health
from common.errors import BusUnavailable
from common.ledger import read_ledger

READY_WITHIN_S = 2.0
"""Seconds; below what balancers wait for. The bus itself is more patient with a slow Redis."""

router = APIRouter()

StageName = Literal["ingest", "enrich", "store", "admin"]


class Alive(BaseModel):
    """The process answers."""

    status: Literal["alive"] = "alive"


class Ready(BaseModel):
    """Redis answers, so requests can be served."""

    status: Literal["ready"] = "ready"


class LedgerAnswer(BaseModel):
    """Where every event that ever reached the bus is now.

    captured + redelivered
    = filtered + duplicates + stored + dead + purged + lost + in_flight + unaccounted.
    """

    model_config = ConfigDict(
        from_attributes=True,
        json_schema_extra={
            "examples": [
                {
                    "captured": 1010,
                    "filtered": 0,
                    "duplicates": 4,
                    "enriched": 1005,
                    "stored": 1000,
                    "dead": 1,
                    "buried": 1,
                    "replayed": 0,
                    "purged": 0,
                    "lost": 0,
                    "redelivered": 0,
                    "corrected_s": 0,
                    "in_flight": 5,
                    "unaccounted": 0,
                    "gaps": [],
                }
            ]
        },
    )

    captured: int = Field(description="Came: live, from history, from snapshots, handed in.")
    filtered: int = Field(description="Left out by a rule of yours.")
    duplicates: int = Field(description="Came a second time, dropped at the door.")
    enriched: int = Field(description="Forwarded by `enrich`.")
    stored: int = Field(description="Written to the sink; what was handed in twice, twice.")
    dead: int = Field(description="Stand in the dead letters now.")
    buried: int = Field(description="Were ever buried.")
    replayed: int = Field(description="Were ever put back from the dead letters.")
    purged: int = Field(description="Deleted from the dead letters by a person.")
    lost: int = Field(description="Taken off the bus by somebody else before they were settled.")
    redelivered: int = Field(
        description="On their way again, or never counted: somebody meddled with a stream."
    )
    corrected_s: int = Field(
        description="When `lost` or `redelivered` last grew: seconds since 1970; 0: never."
    )
    in_flight: int | None = Field(description="On their way; null when nobody can tell.")
    unaccounted: int | None = Field(description="What the sum misses: must be 0.")
    gaps: list[dict[str, Any]] = Field(
        default_factory=list, description="Times of which events are missing."
    )


async def alive() -> Alive:
    """The process is alive. Needs no token."""
    return Alive()


async def ready(desk: TheDesk) -> Ready:
    """Redis answers at once; else 503. Needs no token, and so does not say where Redis is."""
    try:
        async with asyncio.timeout(READY_WITHIN_S):
            await desk.bus.ping()
    except (BusUnavailable, TimeoutError) as error:
        wait = {"Retry-After": str(RETRY_AFTER_S)}
        raise Refusal(
            503,
            "Redis does not answer; `/api/v1/health` says more to who has the token",
            code="BUS_UNAVAILABLE",
            headers=wait,
        ) from error
    return Ready()


@router.get("/health", operation_id="getHealth", tags=["health"])
async def health(desk: TheDesk) -> Health:
    """How the pipeline is. Always answers 200: also that Redis is away is an answer.

    For a load balancer use `/readyz`, for Docker `habus healthcheck`.
    """
    return await desk.health()


@router.get(
    "/health/{stage}", operation_id="getHealthOfStage", tags=["health"], responses=failures(404)
)
async def health_of_stage(
    desk: TheDesk,
    stage: Annotated[StageName, Path(description="Which stage.", examples=["store"])],
) -> Health:
    """How one stage is; dependencies it knows nothing about are `unknown`."""
    return await desk.health(stage)


@router.get("/ledger", operation_id="getLedger", tags=["health"], responses=failures(503))
async def ledger(desk: TheDesk) -> LedgerAnswer:
    """Where every event is: the counters that must balance, read at one instant."""
    found = await read_ledger(desk.bus)
    answer = LedgerAnswer.model_validate(found)
    return answer.model_copy(update={"gaps": await read_gaps(desk.bus)})


async def scrape(desk: TheDesk) -> Response:
    """Everything for Prometheus, of all stages; read from Redis now.

    While Redis is away: version and `habus_dependency_up{dependency="redis"} 0`.
    """
    from admin import metrics  # noqa: PLC0415 - 2 MB for those only who scrape

    text = metrics.exposition(await desk.overview(), datetime.now(UTC))
    return Response(text, media_type=metrics.CONTENT_TYPE)

"""Entities: what is known about each, and its history."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, Field

from admin.desk import TheDesk
from admin.failure import failures
from admin.known import Known
from admin.routes.asked import End, Limit, PageLimit, Start
from admin.routes.events import Stored, stored
from admin.timespan import span

router = APIRouter(tags=["entities"])


class EntityPage(BaseModel):
    """A page of entities in the order of their ids."""

    entities: list[Known]
    next_cursor: str | None = Field(
        description="Ask for the next page with it; null: this was the last.", examples=[None]
    )


class History(BaseModel):
    """The stored points of one entity, oldest first."""

    entity_id: str = Field(examples=["sensor.kitchen"])
    points: list[Stored]


@router.get("/entities", operation_id="listEntities", responses=failures(503))
async def entities(
    desk: TheDesk,
    text: Annotated[
        str | None,
        Query(
            max_length=255, description="Found in id, name, area or device.", examples=["kitchen"]
        ),
    ] = None,
    limit: PageLimit = 100,
    cursor: Annotated[
        str | None,
        Query(
            max_length=255,
            description="`next_cursor` of the page before.",
            examples=["sensor.kitchen"],
        ),
    ] = None,
) -> EntityPage:
    """What is known about each entity: from Home Assistant's registries and the newest events."""
    found = [
        entity
        for entity in await desk.known()
        if (cursor is None or entity.entity_id > cursor) and entity.speaks_of(text or "")
    ]
    return EntityPage(
        entities=found[:limit],
        next_cursor=found[limit - 1].entity_id if len(found) > limit else None,
    )


@router.get(
    "/entities/{entity_id}/history",
    operation_id="getHistory",
    response_model_exclude_none=True,
    responses=failures(404, 503),
)
async def history(
    desk: TheDesk,
    entity_id: Annotated[str, Path(min_length=1, max_length=255, examples=["sensor.kitchen"])],
    start_time: Start = None,
    end_time: End = None,
    limit: Limit = 1000,
) -> History:
    """The points of an entity, oldest first, with start_time ≤ time < end_time."""
    start, end = span(start_time, end_time, datetime.now(UTC))
    found = await desk.sink.history(entity_id, start, end, limit)
    return History(entity_id=entity_id, points=[stored(event) for event in found])

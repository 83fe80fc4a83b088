"""Dead letters: looking at them, putting one back, deleting one."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from admin.desk import TheDesk
from admin.failure import Refusal, failures
from admin.replay import replay_edited
from admin.routes.asked import Cursor, End, EntityId, LetterId, PageLimit, Start, none_before
from admin.routes.events import as_json
from common.bus import DeadLetter, Filter
from common.errors import DeadLetterNotFound, MalformedEvent
from common.event import format_time

router = APIRouter(prefix="/dead-letters", tags=["dead letters"])


class Letter(BaseModel):
    """An event that could not go on, and why."""

    id: str = Field(description="Entry id in `ha:dead`.", examples=["1795189957539-0"])
    stage: str = Field(examples=["enrich"])
    reason: str = Field(examples=["malformed_event"])
    error: str = Field(examples=["not an event: it has no time that can be read"])
    detail: Any = Field(description="Traceback, step, line protocol.", examples=[{"step": "value"}])
    at: str = Field(description="When it was buried.", examples=["2026-11-20T15:44:33.4+00:00"])
    fingerprint: str = Field(description="The same for the same cause.", examples=["3f6b1c2e4a90"])
    origin: str = Field(description="Stream it fell from.", examples=["ha:raw"])
    origin_id: str = Field(description="Its entry id there.", examples=["1795189957538-4"])
    deliveries: int = Field(examples=[1])
    worker: str = Field(examples=["attic"])
    event: dict[str, Any] = Field(
        description="The entry's own fields, `data` as JSON.",
        examples=[{"type": "state_changed", "entity_id": "sensor.kitchen", "data": {}}],
    )


class LetterPage(BaseModel):
    """A page of dead letters, newest first."""

    dead_letters: list[Letter]
    next_cursor: str | None = Field(
        description="Ask for the next page with it; null: this was the last.", examples=[None]
    )


class Edit(BaseModel):
    """What to put in place of the event's own `data`."""

    data: dict[str, Any] | None = Field(
        default=None,
        description="Of stage `store` an enriched event, else Home Assistant's event object; "
        "absent: as it is.",
        examples=[None],
    )


class Replayed(BaseModel):
    """The letter stands in a stream again."""

    success: Literal[True] = True
    stream: str = Field(examples=["ha:inbox"])
    stream_id: str = Field(description="Its entry id there.", examples=["1795189957540-0"])


class Purged(BaseModel):
    """The letter is gone for good."""

    success: Literal[True] = True
    purged: Literal[1] = 1


Word = Annotated[str | None, Query(max_length=255)]


@router.get("", operation_id="listDeadLetters", responses=failures(503))
async def letters(  # noqa: PLR0913, PLR0917 - a filter has as many sides
    desk: TheDesk,
    stage: Annotated[Literal["ingest", "enrich", "store"] | None, Query()] = None,
    reason: Annotated[str | None, Query(max_length=255, examples=["point_rejected"])] = None,
    entity_id: EntityId = None,
    fingerprint: Word = None,
    start_time: Start = None,
    end_time: End = None,
    text: Annotated[
        str | None, Query(max_length=255, description="Found in the event or the error.")
    ] = None,
    limit: PageLimit = 50,
    cursor: Cursor = None,
) -> LetterPage:
    """Dead letters that match, newest first; the times are those of their burial."""
    wanted = Filter(
        stage=stage,
        reason=reason,
        entity_id=entity_id,
        fingerprint=fingerprint,
        since=format_time(start_time) if start_time else None,
        until=format_time(end_time) if end_time else None,
        text=text,
    )
    if none_before(cursor):
        return LetterPage(dead_letters=[], next_cursor=None)
    page = await desk.letters.page(wanted, limit + 1, before=cursor)
    return LetterPage(
        dead_letters=[letter_of(found) for found in page[:limit]],
        next_cursor=page[limit - 1].id if len(page) > limit else None,
    )


@router.get("/{letter_id}", operation_id="getDeadLetter", responses=failures(404, 503))
async def letter(desk: TheDesk, letter_id: LetterId) -> Letter:
    """One dead letter with all that is known about its cause."""
    return letter_of(await desk.letters.get(letter_id))


@router.post(
    "/{letter_id}/replay", operation_id="replayDeadLetter", responses=failures(404, 409, 413, 503)
)
async def replay(desk: TheDesk, letter_id: LetterId, edit: Edit | None = None) -> Replayed:
    """Put one back where it fell, as it is or edited; two who ask replay it once.

    409 when edited data is nothing that the stage it goes to could read.
    """
    try:
        stream, entry_id = await replay_edited(desk.letters, letter_id, edit.data if edit else None)
    except MalformedEvent as error:
        message = f"the data does not fit where this letter goes: {error}"
        raise Refusal(409, message, code="DATA_DOES_NOT_FIT") from error
    return Replayed(stream=stream, stream_id=entry_id)


@router.delete("/{letter_id}", operation_id="deleteDeadLetter", responses=failures(404, 503))
async def delete(desk: TheDesk, letter_id: LetterId) -> Purged:
    """Delete one for good; the ledger counts it as purged."""
    if not await desk.letters.purge([letter_id]):
        raise DeadLetterNotFound(f"there is no dead letter {letter_id} (any more)")
    return Purged()


def letter_of(found: DeadLetter) -> Letter:
    """The answer's shape of a dead letter."""
    event: dict[str, Any] = dict(found.fields)
    if "data" in event:
        event["data"] = as_json(event["data"])
    return Letter(
        id=found.id,
        stage=found.stage,
        reason=found.reason,
        error=found.error,
        detail=as_json(found.detail),
        at=found.at,
        fingerprint=found.fingerprint,
        origin=found.origin,
        origin_id=found.origin_id,
        deliveries=found.deliveries,
        worker=found.worker,
        event=event,
    )

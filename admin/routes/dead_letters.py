"""Dead letters: looking at them, trying what would become of one, putting it back, deleting."""

import time
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from admin.desk import TheDesk
from admin.failure import Refusal, failures
from admin.replay import data_for, replay_one
from admin.retention import fate
from admin.routes.asked import Cursor, LetterId, PageLimit, WantedLetters
from admin.routes.letters import (
    Choice,
    LetterGroups,
    LetterPage,
    LetterWithHistory,
    Rehearsed,
    Retention,
    group_of,
    letter_of,
    rehearsed,
    with_history,
)
from admin.who import who_asks
from common.bus import Deed
from common.bus.entry import none_before
from common.errors import CountChanged, DeadLetterNotFound, MalformedEvent

router = APIRouter(prefix="/dead-letters", tags=["dead letters"])


class Edit(BaseModel):
    """What to put in place of the event's own `data`."""

    model_config = ConfigDict(extra="forbid")

    data: dict[str, Any] | None = Field(
        default=None,
        description="Of stage `store` an enriched event, else Home Assistant's event object; "
        "absent: as it is.",
        examples=[None],
    )


class Replay(Edit):
    """How to put a letter back."""

    force: bool = Field(default=False, strict=True, description="Also when it is expired.")


class Replayed(BaseModel):
    """The letter stands in a stream again."""

    success: Literal[True] = True
    stream: str = Field(examples=["ha:inbox"])
    stream_id: str = Field(description="Its entry id there.", examples=["1795189957540-0"])


class Purged(BaseModel):
    """The letters are gone for good."""

    success: Literal[True] = True
    purged: int = Field(examples=[1])


class PurgedMany(Purged):
    """The letters are gone for good, or would be."""

    dry_run: bool
    count: int = Field(description="Letters that matched.", examples=[12])


@router.get("", operation_id="listDeadLetters", responses=failures(503))
async def letters(
    desk: TheDesk, wanted: WantedLetters, limit: PageLimit = 50, cursor: Cursor = None
) -> LetterPage:
    """Dead letters that match, newest first; the times are those of their burial."""
    before = "0-1" if none_before(cursor) else cursor
    with desk.reading(wanted):
        page = await desk.letters.search(wanted, limit, before)
    return LetterPage(
        dead_letters=[letter_of(found) for found in page.letters],
        next_cursor=page.before,
        total=page.total,
        matching=page.matching,
        scanned=page.scanned,
    )


@router.get("/groups", operation_id="groupDeadLetters", responses=failures(503))
async def groups(
    desk: TheDesk,
    wanted: WantedLetters,
    limit: Annotated[int, Query(ge=1, le=200, description="Most groups.", examples=[100])] = 100,
) -> LetterGroups:
    """Dead letters by cause, the largest group first, with what to do; the counts are exact."""
    with desk.reading(wanted):
        found = await desk.letters.groups(wanted)
    newest = await desk.letters.fetch(group.last_id for group in found[:limit])
    examples = {letter.id: letter for letter in newest}
    return LetterGroups(
        groups=[group_of(group, examples.get(group.last_id)) for group in found[:limit]],
        total_groups=len(found),
        matching=sum(group.count for group in found),
        total=len(await desk.letters.index.fresh()),
        retention=Retention.model_validate(
            await fate(desk.letters, desk.retention_days, time.time_ns() // 1000)
        ),
    )


@router.get("/{letter_id:entry_id}", operation_id="getDeadLetter", responses=failures(404, 503))
async def letter(desk: TheDesk, letter_id: LetterId) -> LetterWithHistory:
    """One dead letter with all that is known about its cause, and its earlier replays."""
    found = await desk.letters.get(letter_id)
    lines = await desk.audit.of_event(found.fields.get("id", ""))
    return with_history(found, list(lines))


@router.post(
    "/{letter_id:entry_id}/dry-run",
    operation_id="tryDeadLetter",
    responses=failures(404, 409, 413, 503),
)
async def dry_run(desk: TheDesk, letter_id: LetterId, edit: Edit | None = None) -> Rehearsed:
    """What this version would do with the letter, as it is or edited; nothing is written."""
    found = await desk.letters.get(letter_id)
    try:
        data = None if edit is None or edit.data is None else data_for(found, edit.data)
    except MalformedEvent as error:
        raise _does_not_fit(error) from error
    return rehearsed(await desk.rehearse(found, data))


@router.post(
    "/{letter_id:entry_id}/replay",
    operation_id="replayDeadLetter",
    responses=failures(404, 409, 413, 503),
)
async def replay(
    desk: TheDesk, request: Request, letter_id: LetterId, how: Replay | None = None
) -> Replayed:
    """Put one back where it fell, as it is or edited; two who ask replay it once.

    409 when edited data is nothing that the stage it goes to could read, or when the letter is
    expired and `force` is not set. The audit keeps what an edit replaced.
    """
    how = how or Replay()
    try:
        stream, entry_id = await replay_one(
            *(desk.letters, letter_id, how.data),
            who=who_asks(request),
            at=desk.now(),
            force=how.force,
        )
    except MalformedEvent as error:
        raise _does_not_fit(error) from error
    return Replayed(stream=stream, stream_id=entry_id)


@router.delete(
    "/{letter_id:entry_id}", operation_id="deleteDeadLetter", responses=failures(404, 503)
)
async def delete(desk: TheDesk, request: Request, letter_id: LetterId) -> Purged:
    """Delete one for good; the ledger counts it as purged."""
    deed = Deed(
        who=who_asks(request), at=desk.now(), action="purge", count=1, what={"id": letter_id}
    )
    if not await desk.letters.purge([letter_id], deed):
        raise DeadLetterNotFound(f"there is no dead letter {letter_id} (any more)")
    return Purged(purged=1)


@router.post("/purge", operation_id="purgeDeadLetters", responses=failures(409, 413, 503))
async def purge(desk: TheDesk, request: Request, choice: Choice) -> PurgedMany:
    """Delete many for good; look first with `dry_run`, then say that count as `expected_count`.

    409 with the count when it was not said, or when another number matches by now; nothing is
    deleted then.
    """
    with desk.reading(choice.wanted):
        ids = await desk.letters.chosen(choice.wanted, choice.ids)
    if choice.dry_run:
        return PurgedMany(purged=0, dry_run=True, count=len(ids))
    if choice.expected_count != len(ids):
        raise CountChanged(len(ids))
    deed = Deed(
        who=who_asks(request),
        at=desk.now(),
        action="purge",
        count=len(ids),
        what=choice.model_dump(mode="json", include={"ids"}, exclude_none=True)
        | {"filter": choice.wanted},
    )
    return PurgedMany(purged=await desk.letters.purge(ids, deed), dry_run=False, count=len(ids))


def _does_not_fit(error: MalformedEvent) -> Refusal:
    message = f"the data does not fit where this letter goes: {error}"
    return Refusal(409, message, code="DATA_DOES_NOT_FIT")

"""Dead letters as a file, for whoever wants to keep them before they go."""

from collections.abc import AsyncIterator
from typing import Annotated, Any, Final, Literal

import msgspec
from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse

from admin.csv_cell import row
from admin.desk import Desk, TheDesk
from admin.failure import failures
from admin.routes.asked import WantedLetters
from admin.routes.replays import filter_of
from admin.who import who_asks
from common.bus import DeadLetter, Deed

router = APIRouter(prefix="/dead-letters", tags=["dead letters"])

AT_ONCE: Final = 200
"""Letters read in one go."""

COLUMNS: Final = (
    "id",
    "at",
    "stage",
    "reason",
    "fingerprint",
    "error",
    "entity_id",
    "time",
    "data",
)
"""Of a CSV file."""


@router.get(
    "/export",
    operation_id="exportDeadLetters",
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "A file: one JSON object a line, or CSV.",
            "content": {
                "application/x-ndjson": {"schema": {"type": "string"}},
                "text/csv": {"schema": {"type": "string"}},
            },
        },
        **failures(503),
    },
)
async def export(
    desk: TheDesk,
    request: Request,
    wanted: WantedLetters,
    as_format: Annotated[
        Literal["ndjson", "csv"],
        Query(alias="format", description="`ndjson` holds everything; `csv` the main columns."),
    ] = "ndjson",
) -> StreamingResponse:
    """All letters that match, oldest first, as a file; each with all its fields."""
    ids = await desk.letters.ids(wanted)
    what: dict[str, Any] = {"filter": filter_of(wanted), "format": as_format}
    deed = Deed(who=who_asks(request), at=desk.now(), action="export", count=len(ids), what=what)
    await desk.audit.add(deed)
    kind = "text/csv; charset=utf-8" if as_format == "csv" else "application/x-ndjson"
    return StreamingResponse(
        _lines(desk, ids, as_format),
        media_type=kind,
        headers={"Content-Disposition": f'attachment; filename="dead-letters.{as_format}"'},
    )


async def _lines(desk: Desk, ids: list[str], as_format: str) -> AsyncIterator[bytes]:
    if as_format == "csv":
        yield row(COLUMNS).encode()
    for start in range(0, len(ids), AT_ONCE):
        letters = await desk.letters.fetch(ids[start : start + AT_ONCE])
        write = csv_of if as_format == "csv" else ndjson_of
        yield b"".join(map(write, letters))


def ndjson_of(letter: DeadLetter) -> bytes:
    """One line of JSON: the letter, its entry's own fields as they stand in Redis."""
    return msgspec.json.encode(letter) + b"\n"


def csv_of(letter: DeadLetter) -> bytes:
    """One line of CSV."""
    fields = letter.fields
    own = (fields.get("entity_id"), fields.get("time"), fields.get("data"))
    about = (letter.id, letter.at, letter.stage, letter.reason, letter.fingerprint, letter.error)
    return row((*about, *own)).encode("utf-8", "replace")

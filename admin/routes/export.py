"""Dead letters as a file, for whoever wants to keep them before they go."""

from collections.abc import AsyncIterator
from contextlib import ExitStack
from typing import Annotated, Any, Final, Literal

import msgspec
from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from admin.desk import Desk, TheDesk
from admin.exported import CSV_HEAD, csv_of, ndjson_of
from admin.failure import failures
from admin.routes.asked import WantedLetters
from admin.routes.replays import filter_of
from admin.who import who_asks
from common.bus import batches
from common.logs import logger

router = APIRouter(prefix="/dead-letters", tags=["dead letters"])

log = logger(__name__)

AT_ONCE: Final = 200
"""Letters read in one go."""


class Export(StreamingResponse):
    """A file of letters; what is open for it is closed when it was sent, or nobody wants it.

    Args:
        reading: Closed then.
    """

    def __init__(self, *args: Any, reading: ExitStack, **kwargs: Any) -> None:  # noqa: ANN401 - Starlette's
        super().__init__(*args, **kwargs)
        self._reading = reading

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        with self._reading:
            await super().__call__(scope, receive, send)


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
    with ExitStack() as reading:
        reading.enter_context(desk.gate.entered())
        ids = await desk.letters.ids(wanted)
        # A GET changes nothing, the audit neither; so who took them stands in the log.
        log.info(
            "letters are exported",
            count=len(ids),
            filter=filter_of(wanted),
            **msgspec.structs.asdict(who_asks(request)),
        )
        kind = "text/csv; charset=utf-8" if as_format == "csv" else "application/x-ndjson"
        return Export(
            _lines(desk, " ".join(ids), as_format),
            media_type=kind,
            headers={"Content-Disposition": f'attachment; filename="dead-letters.{as_format}"'},
            reading=reading.pop_all(),
        )


async def _lines(desk: Desk, ids: str, as_format: str) -> AsyncIterator[bytes]:
    write = csv_of if as_format == "csv" else ndjson_of
    if as_format == "csv":
        yield CSV_HEAD
    for some in batches(ids, AT_ONCE):
        yield b"".join(map(write, await desk.letters.fetch(some)))

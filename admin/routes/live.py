"""The streams as they pass, by server-sent events."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Annotated, Any, Final

from fastapi import APIRouter, Header, Query
from fastapi.responses import Response
from starlette.types import Receive, Scope, Send

from admin.desk import TheDesk
from admin.failure import Refusal, failures
from admin.follower import Follower, first_positions, positions_of
from admin.routes.streams import StreamName
from common.errors import BusUnavailable

router = APIRouter(tags=["events"])

MOST_WATCHERS: Final = 500
"""Readers at once; more are answered 503."""

_DESCRIBED: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "Server-sent events without end.",
        "content": {
            "text/event-stream": {
                "schema": {"type": "string"},
                "example": "id: enriched:1795189957539-7\nevent: enriched\n"
                'data: {"stream":"enriched","entry_id":"1795189957539-7","id":"5c8f5f3e",'
                '"type":"state_changed","entity_id":"sensor.kitchen",'
                '"time":"2026-11-20T15:44:33.435789+00:00","source":"live","home":"home",'
                '"data":{"state":"21.4","available":true}}\n\n',
            }
        },
    }
}


class EventStream(Response):
    """An answer without end; it ends when the reader goes, or when there is no more.

    Args:
        chunks: What is sent.
    """

    media_type = "text/event-stream"

    def __init__(self, chunks: AsyncIterator[bytes]) -> None:
        super().__init__(headers={"X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._chunks = chunks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send until one of the two has enough."""
        del scope
        start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        await send(start)
        sending = asyncio.create_task(self._send(send))
        leaving = asyncio.create_task(_left(receive))
        try:
            await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (sending, leaving):
                task.cancel()
            await asyncio.wait({sending, leaving})
        if not sending.cancelled():
            sending.result()

    async def _send(self, send: Send) -> None:
        chunks = self._chunks
        try:
            async with aclosing(chunks):  # type: ignore[type-var] # it is a generator
                async for chunk in chunks:
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
        except BusUnavailable:
            pass  # the reader comes again after `retry`, and hears 503 until Redis is back
        await send({"type": "http.response.body", "body": b""})


@router.get(
    "/events/live",
    operation_id="watchEvents",
    response_class=Response,
    responses={**failures(503), **_DESCRIBED},
)
async def live(  # noqa: PLR0913, PLR0917 - what can be asked for
    desk: TheDesk,
    stream: Annotated[
        list[StreamName], Query(description="Which streams.", examples=[["raw", "dead"]])
    ] = ["enriched"],  # noqa: B006 - FastAPI copies it
    entity_id: Annotated[
        list[Annotated[str, Query(max_length=255)]] | None,
        Query(
            max_length=20,
            description="Only these entities; `*` stands for any text.",
            examples=[["sensor.*"]],
        ),
    ] = None,
    backlog: Annotated[
        int,
        Query(ge=0, le=200, description="Begin with so many of the newest entries.", examples=[50]),
    ] = 0,
    last_event_id: Annotated[
        str | None,
        Query(
            max_length=255,
            description="As the header of the same name.",
            examples=["enriched:1795189957539-7"],
        ),
    ] = None,
    last_event_id_header: Annotated[
        str | None,
        Header(
            alias="Last-Event-ID",
            max_length=255,
            description="`id` of the last event that came: go on after it, without a hole.",
            examples=["enriched:1795189957539-7"],
        ),
    ] = None,
) -> Response:
    """What passes, as it passes, by server-sent events: one for each entry of a stream.

    Each event has the name of its stream, and as data what `GET /events/recent` says of it; a
    dead letter also its cause in `dead`. Comments say that nothing happens. Data above 32 kB is
    left out (`cut`). A reader that is slow, or comes again with `Last-Event-ID`, gets what it
    missed as long as Redis has it.
    """
    names = tuple(dict.fromkeys(stream))
    said = last_event_id_header or last_event_id
    try:
        known = positions_of(said) if said else {}
    except ValueError as error:
        raise Refusal(422, f"Last-Event-ID: {error}") from error
    if desk.live.watchers + desk.live.coming >= MOST_WATCHERS:
        message = f"{MOST_WATCHERS} are watching already; close a page"
        raise Refusal(503, message, code="TOO_MANY_WATCHERS", headers={"Retry-After": "30"})
    with desk.live.expecting():
        positions = await first_positions(desk.live, names, known, backlog)
    return EventStream(Follower(desk.live, positions, _wanted(entity_id)).chunks())


def _wanted(patterns: list[str] | None) -> Callable[[str], bool]:
    if not patterns:
        return lambda _: True
    # Only `*` is special; runs of it are one, so that no pattern is slow.
    texts = (re.sub(r"(\\\*)+", ".*", re.escape(pattern)) for pattern in patterns)
    return re.compile("|".join(f"(?:{text})" for text in texts), re.DOTALL).fullmatch  # type: ignore[return-value] # a match is true


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass

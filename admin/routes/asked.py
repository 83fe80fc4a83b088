"""What routes are asked for: the parameters that several of them share."""

import re
from datetime import datetime
from typing import Annotated, Final, Literal

from fastapi import Depends, Path, Query
from pydantic import BeforeValidator
from starlette.convertors import Convertor, register_url_convertor

from common.bus import Filter
from common.errors import MalformedEvent
from common.event import format_time, parse_time

ENTRY_ID: Final = r"^[0-9]{1,19}-[0-9]{1,19}$"
"""The same as `common.bus.entry.ENTRY_ID`, as OpenAPI writes it."""


class _EntryId(Convertor[str]):
    """What in a path is an entry id: then `/purge` is none."""

    regex = "[0-9]{1,19}-[0-9]{1,19}"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("entry_id", _EntryId())

_LOST_PLUS: Final = re.compile(r"(T[0-9:.]+) ([0-9]{2}:?[0-9]{2})$")


def _time(text: object) -> object:
    """Read a time; a plus sign that became a space in the query is one again.

    Raises:
        ValueError: When it is no time in ISO 8601 with a zone.
    """
    if not isinstance(text, str):
        raise ValueError("must be a text in ISO 8601")  # noqa: TRY004 - pydantic takes this one
    try:
        when = parse_time(_LOST_PLUS.sub(r"\1+\2", text))
        format_time(when)
    except MalformedEvent as error:
        raise ValueError(str(error)) from error
    return when


Time = Annotated[datetime, BeforeValidator(_time)]

Start = Annotated[
    Time | None,
    Query(
        alias="start_time",
        description="From this time on, ISO 8601 with a zone; 24 hours before the end when absent.",
        examples=["2026-11-20T15:00:00Z"],
    ),
]
End = Annotated[
    Time | None,
    Query(
        alias="end_time",
        description="Before this time, ISO 8601 with a zone; open when absent.",
        examples=["2026-11-20T16:00:00Z"],
    ),
]
Limit = Annotated[
    int, Query(ge=1, le=1000, description="Most items in the answer.", examples=[100])
]
PageLimit = Annotated[
    int, Query(ge=1, le=200, description="Most items of one page.", examples=[50])
]
Cursor = Annotated[
    str | None,
    Query(
        pattern=ENTRY_ID,
        description="`next_cursor` of the page before.",
        examples=["1795189957539-0"],
    ),
]

EntityId = Annotated[
    str | None,
    Query(min_length=1, max_length=255, description="One entity.", examples=["sensor.kitchen"]),
]
LetterId = Annotated[
    str,
    Path(pattern=ENTRY_ID, description="Entry id in `ha:dead`.", examples=["1795189957539-0"]),
]


def wanted_letters(  # noqa: PLR0913, PLR0917 - a filter has as many sides
    stage: Annotated[
        Literal["ingest", "enrich", "store"] | None, Query(description="Where it fell.")
    ] = None,
    reason: Annotated[
        str | None, Query(max_length=255, description="Code.", examples=["point_rejected"])
    ] = None,
    entity_id: EntityId = None,
    fingerprint: Annotated[
        str | None, Query(max_length=255, description="Of a group.", examples=["3f6b1c2e4a90"])
    ] = None,
    start_time: Annotated[
        Time | None,
        Query(
            description="Buried from this time on, ISO 8601 with a zone.",
            examples=["2026-11-20T15:00:00Z"],
        ),
    ] = None,
    end_time: Annotated[
        Time | None,
        Query(
            description="Buried before this time, ISO 8601 with a zone.",
            examples=["2026-11-20T16:00:00Z"],
        ),
    ] = None,
    text: Annotated[
        str | None,
        Query(max_length=255, description="Found in the event or the error.", examples=["timeout"]),
    ] = None,
) -> Filter:
    """Which letters the query asks for."""
    return Filter(
        stage=stage,
        reason=reason,
        entity_id=entity_id,
        fingerprint=fingerprint,
        since=format_time(start_time) if start_time else None,
        until=format_time(end_time) if end_time else None,
        text=text or None,
    )


WantedLetters = Annotated[Filter, Depends(wanted_letters)]
"""A route's parameters: the filter of dead letters."""

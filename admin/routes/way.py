"""The way of one event through the pipeline."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, Field

from admin.desk import TheDesk
from admin.failure import Refusal, failures
from admin.routes.asked import ENTRY_ID
from admin.routes.streams import StreamName
from admin.way import way_of

router = APIRouter(tags=["events"])


class Station(BaseModel):
    """An entry of a stream that is the event."""

    model_config = ConfigDict(from_attributes=True)

    stream: StreamName
    key: str = Field(description="Of the stream, in Redis.", examples=["ha:raw"])
    entry_id: str = Field(examples=["1795189957539-7"])
    at: str = Field(description="When it came there.", examples=["2026-11-20T15:44:33.500+00:00"])
    after_s: float | None = Field(
        description="Seconds after Home Assistant's time; null where that cannot be read.",
        examples=[0.064],
    )
    state: Literal["waiting", "pending", "settled"] | None = Field(
        description="What its consumer group has done with it; null: there is none.",
        examples=["settled"],
    )
    fields: dict[str, str] = Field(description="But `data`.", examples=[{"v": "1"}])
    data: Any = Field(
        description="JSON of the entry; text where it is none.", examples=[{"state": "21.4"}]
    )
    command: str = Field(
        description="Shows it in a terminal.",
        examples=["redis-cli XRANGE ha:raw 1795189957539-7 1795189957539-7"],
    )


class Way(BaseModel):
    """The stations of an event, in the order in which it met them."""

    model_config = ConfigDict(from_attributes=True)

    id: str = Field(examples=["5c8f5f3e-6c6c-5f0e-8a34-6b0d5d6c0f11"])
    type: str = Field(examples=["state_changed"])
    entity_id: str = Field(examples=["sensor.kitchen"])
    time: str = Field(examples=["2026-11-20T15:44:33.435789+00:00"])
    stations: list[Station]
    missing: list[str] = Field(
        description="Streams on which it was looked for in vain: not there yet, trimmed, or"
        " farther away than 2,000 entries.",
        examples=[[]],
    )
    line_protocol: str | None = Field(
        description="What the sink is written; null while it is not enriched.",
        examples=["sensor,entity_id=sensor.kitchen value=21.4 1795189957539000"],
    )


@router.get(
    "/events/way/{stream}/{entry_id}", operation_id="getWayOfEvent", responses=failures(404, 503)
)
async def way(
    desk: TheDesk,
    stream: Annotated[StreamName, Path(description="Where the entry is.", examples=["enriched"])],
    entry_id: Annotated[str, Path(pattern=ENTRY_ID, examples=["1795189957539-7"])],
) -> Way:
    """Where an event is and was: raw, enriched, buried, as line protocol, and how long it took."""
    found = await way_of(desk, stream, entry_id)
    if found is None:
        raise Refusal(404, f"there is no entry {entry_id} on {stream} (any more)")
    return Way.model_validate(found)

"""The four streams, in Redis's words."""

from typing import Annotated, Literal

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, Field

from admin.buffer import hours_left
from admin.desk import TheDesk
from admin.failure import failures
from admin.routes.asked import Cursor, PageLimit
from common.bus.entry import none_before
from common.bus.server import describe
from common.heartbeat import read_pulses

router = APIRouter(tags=["streams"])

StreamName = Literal["raw", "inbox", "enriched", "dead"]


class Consumer(BaseModel):
    """A consumer of a group."""

    model_config = ConfigDict(from_attributes=True)

    name: str = Field(examples=["attic"])
    pending: int = Field(description="Entries in its hands.", examples=[12])
    idle_s: float = Field(description="Seconds since it last asked.", examples=[0.4])


class Group(BaseModel):
    """A consumer group of a stream."""

    model_config = ConfigDict(from_attributes=True)

    name: str = Field(examples=["enrich"])
    pending: int = Field(description="Delivered and not acknowledged.", examples=[12])
    lag: int | None = Field(description="Not delivered yet; null: Redis cannot tell.", examples=[0])
    lag_s: float = Field(description="Age of the oldest unacknowledged, seconds.", examples=[0.2])
    last_delivered_id: str = Field(examples=["1795189957539-7"])
    consumers: list[Consumer]


class Stream(BaseModel):
    """A stream; one that is not there yet is empty."""

    model_config = ConfigDict(from_attributes=True)

    name: StreamName
    key: str = Field(description="Its key in Redis.", examples=["ha:raw"])
    length: int = Field(description="Entries in it.", examples=[86_400])
    memory_bytes: int | None = Field(description="null: the server cannot tell.", examples=[98304])
    first_id: str | None = Field(examples=["1795103557539-1"])
    last_id: str | None = Field(examples=["1795189957539-7"])
    entries_added: int | None = Field(description="Ever; null before Redis 7.", examples=[99_000])
    groups: list[Group]


class StreamList(BaseModel):
    """All four streams."""

    streams: list[Stream]
    hours_left: float | None = Field(
        default=None,
        description="Hours until Redis and then the spool are full; null: no limit is set, or"
        " nobody knows yet.",
        examples=[72.5],
    )


class Entry(BaseModel):
    """An entry as `redis-cli` shows it."""

    model_config = ConfigDict(from_attributes=True)

    entry_id: str = Field(examples=["1795189957539-7"])
    fields: dict[str, str] = Field(
        examples=[{"v": "1", "type": "state_changed", "entity_id": "sensor.kitchen", "data": "{}"}]
    )


class EntryPage(BaseModel):
    """A page of entries, newest first."""

    entries: list[Entry]
    next_cursor: str | None = Field(
        description="Ask for the next page with it; null: this was the last.", examples=[None]
    )


@router.get("/streams", operation_id="listStreams", responses=failures(503))
async def streams(desk: TheDesk) -> StreamList:
    """Length, memory, groups, consumers, pending, and lag in entries and in seconds."""
    found = [await desk.streams.info(name) for name in desk.bus.keys.streams]
    hours = hours_left(await describe(desk.bus), found, await read_pulses(desk.bus))
    return StreamList(
        streams=[Stream.model_validate(info) for info in found],
        hours_left=None if hours is None else round(hours, 1),
    )


@router.get("/streams/{name}/entries", operation_id="listEntries", responses=failures(404, 503))
async def entries(
    desk: TheDesk,
    name: Annotated[StreamName, Path(description="Which stream.", examples=["enriched"])],
    limit: PageLimit = 50,
    cursor: Cursor = None,
) -> EntryPage:
    """A page of the entries of a stream, newest first."""
    if none_before(cursor):
        return EntryPage(entries=[], next_cursor=None)
    page = await desk.streams.newest(name, limit + 1, before=cursor)
    more = len(page) > limit
    return EntryPage(
        entries=[Entry.model_validate(entry) for entry in page[:limit]],
        next_cursor=page[limit - 1].entry_id if more else None,
    )

"""Events: stored ones, those on the streams, and handing one in."""

import time
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal
from uuid import uuid4

import msgspec
from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from admin.desk import TheDesk
from admin.failure import failures
from admin.hand_made import event_of
from admin.passage import as_json
from admin.rates import COUNTERS
from admin.routes.asked import End, EntityId, Limit, Start, Time
from admin.routes.streams import StreamName
from admin.timespan import span
from common.bus import Entry
from common.bus.entry import number
from common.event import format_time, time_of
from common.ledger import read_ledger
from common.sink import StoredEvent

router = APIRouter(tags=["events"])


class Stored(BaseModel):
    """An event as it stands in the sink; what is unknown is absent."""

    model_config = ConfigDict(extra="forbid")

    time: str = Field(examples=["2026-11-20T15:44:33.435789+00:00"])
    measurement: str = Field(
        description="Its domain; else `event` or `habus_gap`.", examples=["sensor"]
    )
    entity_id: str | None = Field(default=None, examples=["sensor.kitchen"])
    state: str | None = Field(default=None, examples=["21.4"])
    value: float | None = Field(default=None, examples=[21.4])
    available: bool | None = Field(default=None, examples=[True])
    unit: str | None = Field(default=None, examples=["°C"])
    device_class: str | None = Field(default=None, examples=["temperature"])
    area: str | None = Field(default=None, examples=["Kitchen"])
    friendly_name: str | None = Field(default=None, examples=["Kitchen"])
    device: str | None = Field(default=None, examples=["Aqara T1"])
    previous_duration_s: float | None = Field(default=None, examples=[61.4])
    event_type: str | None = Field(default=None, examples=["automation_triggered"])
    data: str | None = Field(
        default=None, description="JSON text, of other event types only.", examples=[None]
    )


class StoredEvents(BaseModel):
    """Stored events, newest first."""

    events: list[Stored]


class Passing(BaseModel):
    """An event on a stream."""

    stream: StreamName
    entry_id: str = Field(examples=["1795189957539-7"])
    id: str = Field(examples=["5c8f5f3e-6c6c-5f0e-8a34-6b0d5d6c0f11"])
    type: str = Field(examples=["state_changed"])
    entity_id: str = Field(examples=["sensor.kitchen"])
    time: str = Field(examples=["2026-11-20T15:44:33.435789+00:00"])
    source: str = Field(examples=["live"])
    home: str = Field(examples=["home"])
    replays: int = Field(description="How often it was replayed.", examples=[0])
    data: Any = Field(
        description="JSON of the entry; text where it is none.", examples=[{"state": "21.4"}]
    )


class PassingEvents(BaseModel):
    """The newest events of a stream, newest first."""

    events: list[Passing]


class HandedIn(BaseModel):
    """An event as Home Assistant would fire it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "event_type": "state_changed",
                    "time_fired": "2026-11-20T15:44:33.435789+00:00",
                    "data": {
                        "entity_id": "sensor.kitchen",
                        "old_state": None,
                        "new_state": {
                            "entity_id": "sensor.kitchen",
                            "state": "21.4",
                            "attributes": {"unit_of_measurement": "°C"},
                            "last_updated": "2026-11-20T15:44:33.435789+00:00",
                        },
                    },
                }
            ]
        }
    )

    event_type: str = Field(min_length=1, max_length=255)
    data: dict[str, Any] = Field(description="Of a `state_changed`: `entity_id`, `new_state`.")
    time_fired: Time = Field(description="ISO 8601 with a zone.")
    origin: Literal["LOCAL", "REMOTE"] = "LOCAL"


class Accepted(BaseModel):
    """The event stands on the bus."""

    success: Literal[True] = True
    event_id: str = Field(examples=["5c8f5f3e-6c6c-5f0e-8a34-6b0d5d6c0f11"])
    stream_id: str = Field(description="Entry id in `ha:inbox`.", examples=["1795189957539-0"])


Stage = Literal["ingest", "enrich", "store", "dead"]
"""Where events are counted."""

_COUNTERS: Final[dict[Stage, str]] = dict(
    zip(("ingest", "enrich", "store", "dead"), COUNTERS, strict=True)
)


class Flow(BaseModel):
    """How many events came through one stage."""

    count: int = Field(description="Ever.", examples=[86_400])
    per_second: float | None = Field(description="Lately; null: not known yet.", examples=[4.2])


class Stats(BaseModel):
    """Counts and rates by stage."""

    window_s: float = Field(description="Seconds over which the rates are taken.", examples=[60.0])
    stages: dict[Stage, Flow]


class PastRates(BaseModel):
    """Rates by stage, look by look, oldest first: for each time one of each stage."""

    times: list[str] = Field(examples=[["2026-11-20T15:44:33.435789+00:00"]])
    per_second: dict[Stage, list[float | None]] = Field(
        description="Events a second over the minute before; null: not known.",
        examples=[{"ingest": [4.2], "enrich": [4.2], "store": [4.1], "dead": [0.0]}],
    )


@router.get(
    "/events",
    operation_id="listEvents",
    response_model_exclude_none=True,
    responses=failures(503),
)
async def events(
    desk: TheDesk,
    start_time: Start = None,
    end_time: End = None,
    entity_id: EntityId = None,
    limit: Limit = 100,
) -> StoredEvents:
    """Stored events from the sink, newest first, with start_time ≤ time < end_time."""
    start, end = span(start_time, end_time, datetime.now(UTC))
    found = await desk.sink.events(start, end, entity_id, limit)
    return StoredEvents(events=[stored(event) for event in found])


@router.get("/events/recent", operation_id="listRecentEvents", responses=failures(503))
async def recent(
    desk: TheDesk,
    stream: Annotated[StreamName, Query(description="Which stream.")] = "enriched",
    limit: Limit = 100,
) -> PassingEvents:
    """The tail of a stream, newest first."""
    found = await desk.streams.newest(stream, limit)
    return PassingEvents(events=[passing(stream, entry) for entry in found])


@router.get("/events/stats", operation_id="getEventStats", responses=failures(503))
async def stats(desk: TheDesk) -> Stats:
    """How many events each stage has seen, and how many a second over the last minute."""
    ledger = await read_ledger(desk.bus)
    desk.rates.add(time.monotonic(), ledger)
    return Stats(
        window_s=round(desk.rates.window_s, 1),
        stages={
            stage: Flow(count=getattr(ledger, counter), per_second=desk.rates.per_second(counter))
            for stage, counter in _COUNTERS.items()
        },
    )


@router.get("/events/rates", operation_id="listRates")
async def past_rates(desk: TheDesk) -> PastRates:
    """How fast events flowed in the last quarter of an hour, as far as this admin has seen."""
    past = list(desk.rates.past)
    columns = zip(*(rates for _, rates in past), strict=True) if past else [()] * len(COUNTERS)
    since = time.time() - time.monotonic()
    return PastRates(
        times=[time_of(round((since + when) * 1e6)) for when, _ in past],
        per_second={
            stage: [None if one is None else round(one, 2) for one in column]
            for stage, column in zip(_COUNTERS, columns, strict=True)
        },
    )


@router.post("/events", operation_id="sendEvent", status_code=202, responses=failures(413, 503))
@router.post(
    "/events/forward", operation_id="forwardEvent", status_code=202, responses=failures(413, 503)
)
async def send(desk: TheDesk, event: HandedIn) -> Accepted:
    """Hand in an event: it goes through `ha:inbox` as if Home Assistant had fired it."""
    made = event_of(
        event.event_type,
        event.data,
        format_time(event.time_fired),
        origin=event.origin,
        home=desk.home,
        context_id=uuid4().hex,
    )
    return Accepted(event_id=made.id, stream_id=await desk.streams.inject(made))


def stored(event: StoredEvent) -> Stored:
    """The answer's shape of a stored event."""
    return Stored(**msgspec.to_builtins(event))


def passing(stream: StreamName, entry: Entry) -> Passing:
    """The answer's shape of an entry; of whatever stands there."""
    fields = entry.fields
    return Passing(
        stream=stream,
        entry_id=entry.entry_id,
        id=fields.get("id", ""),
        type=fields.get("type", ""),
        entity_id=fields.get("entity_id", ""),
        time=fields.get("time", ""),
        source=fields.get("source", ""),
        home=fields.get("home", ""),
        replays=number(fields.get("replays")),
        data=as_json(fields.get("data", "")),
    )

"""Way: where one event is, and was, on the streams."""

from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final, Literal

import msgspec

from admin.desk import Desk
from admin.passage import as_json, entry_id_of
from common.bus import ENRICH, STORE, Entry, Streams
from common.bus.entry import Position, position_of
from common.errors import MalformedEvent
from common.event import Event, parse_time

PAGE: Final = 200
"""Entries that are read at once."""

FARTHEST: Final = 2000
"""Entries of a stream that are looked through for the event."""

SLACK_MS: Final = 2000
"""Milliseconds by which clocks of Redis and of ingest may differ."""

_LATEST_MS: Final = 253_402_300_799_999
"""The last of the year 9999: ids may be later, which no clock is."""

State = Literal["waiting", "pending", "settled"]
"""waiting: not delivered to its group. pending: in a worker's hands. settled: acknowledged."""

_ORDER: Final = ("raw", "inbox", "enriched", "dead")
_GROUPS: Final = {"raw": ENRICH, "inbox": ENRICH, "enriched": STORE}


class Station(msgspec.Struct, frozen=True, kw_only=True):
    """An entry of a stream that is the event.

    Attributes:
        at: When it came there, ISO 8601 in UTC.
        after_s: Seconds after Home Assistant's time of the event; None when that cannot be read.
        state: What its consumer group has done with it; None where there is no group.
        fields: Its fields but `data`.
    """

    stream: str
    key: str
    entry_id: str
    at: str
    after_s: float | None
    state: State | None
    fields: dict[str, str]
    data: Any
    command: str


class Way(msgspec.Struct, frozen=True, kw_only=True):
    """The stations of an event, in the order in which it met them.

    Attributes:
        missing: Streams on which it was looked for in vain.
        line_protocol: What the sink is written; None when it is not enriched.
    """

    id: str
    type: str
    entity_id: str
    time: str
    stations: list[Station]
    missing: list[str]
    line_protocol: str | None


async def way_of(desk: Desk, stream: str, entry_id: str) -> Way | None:
    """Find the other stations of the event that is this entry; None when there is none.

    Raises:
        BusUnavailable: When Redis does not answer.
    """
    streams = desk.streams
    here = await streams.entry(stream, entry_id)
    if here is None:
        return None
    found = {stream: here}
    for name in _ORDER:
        if name not in found and (entry := await _found(streams, name, stream, here)):
            found[name] = entry
    came = [name for name in _ORDER if name in found]
    fields = here.fields
    return Way(
        id=fields.get("id", ""),
        type=fields.get("type", ""),
        entity_id=fields.get("entity_id", ""),
        time=fields.get("time", ""),
        stations=[await _station(desk, name, found[name]) for name in came],
        missing=_missing(came),
        line_protocol=await _line(desk, found.get("enriched")),
    )


async def _found(streams: Streams, name: str, stream: str, here: Entry) -> Entry | None:
    """The entry of another stream that is the same event; the nearest in time."""
    fields = here.fields
    if stream == "dead" and fields.get("dead_origin", "").endswith(f":{name}"):
        return await streams.entry(name, fields.get("dead_origin_id") or "0-0")
    ms = position_of(here.entry_id)[0]
    is_later = _ORDER.index(name) > max(1, _ORDER.index(stream))
    seen = _after(streams, name, ms) if is_later else _before(streams, name, ms)
    async for entry in seen:
        if fields.get("id") and entry.fields.get("id") == fields["id"]:
            return entry
    return None


async def _after(streams: Streams, name: str, ms: int) -> AsyncIterator[Entry]:
    at: Position = (max(0, ms - SLACK_MS), 0)
    for _ in range(FARTHEST // PAGE):
        page = await streams.after(name, entry_id_of(at), PAGE)
        for entry in page:
            yield entry
        if len(page) < PAGE:
            return
        at = position_of(page[-1].entry_id)


async def _before(streams: Streams, name: str, ms: int) -> AsyncIterator[Entry]:
    at: Position = (ms + SLACK_MS, 0)
    for _ in range(FARTHEST // PAGE):
        page = await streams.newest(name, PAGE, before=entry_id_of(at))
        for entry in page:
            yield entry
        if len(page) < PAGE:
            return
        at = position_of(page[-1].entry_id)


def _missing(came: Sequence[str]) -> list[str]:
    """It begins on `raw` or `inbox`, and goes on to `enriched` or `dead`."""
    begun = {"raw", "inbox"} & set(came)
    went_on = {"enriched", "dead"} & set(came)
    return ([] if begun else ["raw"]) + ([] if went_on else ["enriched"])


async def _station(desk: Desk, name: str, entry: Entry) -> Station:
    ms, _ = position_of(entry.entry_id)
    at = datetime.fromtimestamp(min(ms, _LATEST_MS) / 1000, UTC)
    key = desk.bus.keys.streams[name]
    fields = dict(entry.fields)
    data = as_json(fields.pop("data", ""))
    time = fields.get("time", "")
    return Station(
        stream=name,
        key=key,
        entry_id=entry.entry_id,
        at=at.isoformat(),
        after_s=_after_s(time, at),
        state=await _state(desk.streams, name, entry.entry_id),
        fields=fields,
        data=data,
        command=f"redis-cli XRANGE {key} {entry.entry_id} {entry.entry_id}",
    )


def _after_s(time: str, at: datetime) -> float | None:
    with suppress(MalformedEvent):
        return max(0.0, round((at - parse_time(time)).total_seconds(), 3))
    return None


async def _state(streams: Streams, name: str, entry_id: str) -> State | None:
    wanted = _GROUPS.get(name)
    group = next((one for one in (await streams.info(name)).groups if one.name == wanted), None)
    if group is None:
        return None
    if position_of(entry_id) > position_of(group.last_delivered_id):
        return "waiting"
    return "pending" if await streams.holds(name, group.name, entry_id) else "settled"


async def _line(desk: Desk, entry: Entry | None) -> str | None:
    if entry is None:
        return None
    fields = entry.fields
    event = Event(
        id=fields.get("id", ""),
        type=fields.get("type", ""),
        entity_id=fields.get("entity_id", ""),
        time=fields.get("time", ""),
        source=fields.get("source", ""),
        home=fields.get("home", ""),
        data=fields.get("data", "").encode("utf-8", "replace"),
    )
    return (await desk.preview(event, enriched=True)).line_protocol

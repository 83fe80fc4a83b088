"""`habus streams` and `habus tail`."""

import asyncio
import json
from typing import Final

from admin.buffer import hours_left
from admin.cli import show
from admin.cli.at_desk import with_bus
from admin.config import Settings
from common.bus import Bus, Entry, StreamInfo, Streams
from common.bus.server import describe
from common.errors import InvalidSetting
from common.heartbeat import read_pulses

POLL_S: Final = 0.3
"""Seconds between two looks for new entries."""

AT_ONCE: Final = 500
"""Entries read in one go."""


def streams(*, as_json: bool) -> None:
    """Print what Redis says about the streams."""

    async def ask(bus: Bus, _: Settings) -> tuple[list[StreamInfo], float | None]:
        found = [await Streams(bus).info(name) for name in bus.keys.streams]
        return found, hours_left(await describe(bus), found, await read_pulses(bus))

    found, hours = with_bus(ask)
    if as_json:
        show.as_json({"streams": found, "hours_left": None if hours is None else round(hours, 1)})
        return
    columns = ("stream", "entries#", "memory#", "group", "pending#", "lag#", "lag s#", "consumers")
    show.table(columns, (row for info in found for row in _rows(info)), "There is no stream.")
    if hours is not None:
        show.line(f"If nothing drains, Redis and the spool are full in {hours:.1f} hours.")


def tail(stream: str, lines: int, entity: str | None, *, follow: bool, as_json: bool) -> None:
    """Print the newest entries of a stream, and then each that comes."""

    async def watch(bus: Bus, _: Settings) -> None:
        if stream not in bus.keys.streams:
            raise InvalidSetting(f"there is no stream {stream!r}: raw, inbox, enriched or dead")
        asked = Streams(bus)
        last = (await asked.info(stream)).last_id or "0-0"
        newest = await asked.newest(stream, max(1, lines))
        for entry in reversed(newest[:lines]):
            _print(entry, entity, as_json=as_json)
        last = newest[0].entry_id if newest else last
        while follow:
            for entry in await asked.after(stream, last, AT_ONCE):
                _print(entry, entity, as_json=as_json)
                last = entry.entry_id
            await asyncio.sleep(POLL_S)

    with_bus(watch)


def _rows(info: StreamInfo) -> list[tuple[object, ...]]:
    stream = (info.key, show.number(info.length), show.memory(info.memory_bytes))
    if not info.groups:
        return [(*stream, None, None, None, None, None)]
    return [
        (
            *stream,
            group.name,
            show.number(group.pending),
            show.number(group.lag),
            show.number(group.lag_s),
            ", ".join(f"{c.name} ({c.pending})" for c in group.consumers),
        )
        for group in info.groups
    ]


def _print(entry: Entry, entity: str | None, *, as_json: bool) -> None:
    fields = entry.fields
    if entity is not None and fields.get("entity_id") != entity:
        return
    if as_json:
        show.as_json_line({"entry_id": entry.entry_id, **fields})
        return
    what = fields.get("entity_id") or fields.get("type", "")
    said = fields.get("dead_error") or _state(fields.get("data", ""))
    show.line(f"{entry.entry_id}  {fields.get('time', '')}  {what}  {said}")


def _state(data: str) -> str:
    """The state within an enriched event, or within one of Home Assistant's."""
    try:
        found = json.loads(data)
        new_state = found.get("data", {}).get("new_state") if "event_type" in found else found
        return str((new_state or {}).get("state", ""))
    except (ValueError, AttributeError, RecursionError):
        return ""

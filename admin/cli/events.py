"""`habus events` and `habus send`."""

import json
import sys
from datetime import UTC, datetime
from uuid import uuid4

from admin.cli import show
from admin.cli.at_desk import with_bus
from admin.cli.when import time_of
from admin.config import Settings
from admin.hand_made import event_of
from admin.timespan import span
from common.bus import Bus, Streams
from common.errors import InvalidSetting
from common.event import STATE_CHANGED, Event, format_time
from common.sink import StoredEvent, open_sink


def events(
    entity: str | None, since: str | None, until: str | None, limit: int, *, as_json: bool
) -> None:
    """Print stored events, newest first.

    Raises:
        InvalidSetting: When a time cannot be read, or the span is empty.
    """
    now = datetime.now(UTC)
    start, end = span(time_of(since, now, "--since"), time_of(until, now, "--until"), now)
    if end <= start:
        raise InvalidSetting("--until: must be later than --since")

    async def ask(_: Bus, settings: Settings) -> list[StoredEvent]:
        async with open_sink(settings) as sink:
            return await sink.events(start, end, entity, limit)

    found = with_bus(ask)
    if as_json:
        show.as_json({"events": found})
        return
    rows = (
        (e.time, e.entity_id or e.event_type, e.state, e.unit, e.area, e.friendly_name)
        for e in found
    )
    columns = ("time", "entity", "state", "unit", "area", "name")
    of = "Nothing" if entity is None else f"Nothing of {entity}"
    when = f"from {format_time(start)} to {format_time(end)}"
    show.table(columns, rows, f"{of} was stored {when}; --since and --until choose another time.")


def send(
    event_type: str,
    data: str | None,
    change: tuple[str | None, str | None],
    time_fired: str | None,
    *,
    as_json: bool,
) -> None:
    """Append an event to the inbox, and print its ids.

    Args:
        event_type: Home Assistant's event type.
        data: JSON object, `-` for standard input; None when `change` says it all.
        change: Entity and state of a state change.
        time_fired: ISO 8601 with a zone; None for now.
        as_json: For a program.
    """
    fired = time_fired or format_time(datetime.now(UTC))
    told = told_of(data, change, fired)

    async def hand_in(bus: Bus, settings: Settings) -> tuple[Event, str]:
        event = event_of(
            event_type,
            told,
            fired,
            origin="LOCAL",
            home=settings.ha_home_name,
            context_id=uuid4().hex,
        )
        return event, await Streams(bus).inject(event)

    event, entry_id = with_bus(hand_in)
    if as_json:
        show.as_json({"success": True, "event_id": event.id, "stream_id": entry_id})
    else:
        show.line(f"Event {event.id} stands in the inbox as {entry_id}.")


def told_of(
    data: str | None, change: tuple[str | None, str | None], fired: str
) -> dict[str, object]:
    """Return the data of the event that was typed: as JSON, or as entity and state.

    Raises:
        InvalidSetting: When it is neither, or both.
    """
    if data is None:
        return _change(*change, fired)
    if change != (None, None):
        raise InvalidSetting("say what happened by --data, or by --entity and --state, not by both")
    return object_of(data)


def _change(entity_id: str | None, state: str | None, fired: str) -> dict[str, object]:
    if entity_id is None or state is None:
        raise InvalidSetting(
            f"say what happened: --entity and --state for a {STATE_CHANGED}, or --data with JSON"
        )
    new_state = {
        "entity_id": entity_id,
        "state": state,
        "attributes": {},
        "last_changed": fired,
        "last_updated": fired,
    }
    return {"entity_id": entity_id, "old_state": None, "new_state": new_state}


def object_of(text: str) -> dict[str, object]:
    """Read the JSON object that was typed, or of standard input for `-`.

    Raises:
        InvalidSetting: When it is none.
    """
    text = sys.stdin.read() if text == "-" else text
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidSetting(f"--data: no JSON: {error}") from error
    if not isinstance(found, dict):
        raise InvalidSetting('--data: must be a JSON object, as {"entity_id": "sensor.kitchen"}')
    return found

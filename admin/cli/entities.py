"""`habus entities` and `habus way`."""

from admin.cli import show
from admin.cli.at_desk import with_desk
from admin.desk import Desk
from admin.known import Known
from admin.way import Station, Way, way_of
from common.bus.entry import ENTRY_ID
from common.errors import InvalidSetting


def entities(text: str | None, limit: int, *, as_json: bool) -> None:
    """Print what is known about each entity, in the order of their ids."""

    async def ask(desk: Desk) -> list[Known]:
        return await desk.known()

    found = [entity for entity in with_desk(ask) if entity.speaks_of(text or "")][:limit]
    if as_json:
        show.as_json({"entities": [entity.model_dump() for entity in found]})
        return
    rows = (
        (e.entity_id, e.state, e.unit, e.friendly_name, e.area, e.device, (e.last_seen or "")[:19])
        for e in found
    )
    columns = ("entity", "state", "unit", "name", "area", "device", "last seen")
    show.table(columns, rows, "Nothing is known of such an entity.")


def way(stream: str, entry_id: str, *, as_json: bool) -> None:
    """Print where an event is and was.

    Raises:
        InvalidSetting: When there is no such stream, or no such entry there.
    """

    async def ask(desk: Desk) -> Way | None:
        if stream not in desk.bus.keys.streams:
            raise InvalidSetting(f"there is no stream {stream!r}: raw, inbox, enriched or dead")
        if not ENTRY_ID.fullmatch(entry_id):
            raise InvalidSetting(f"{entry_id!r} is no entry id, as 1795189957539-7")
        return await way_of(desk, stream, entry_id)

    found = with_desk(ask)
    if found is None:
        raise InvalidSetting(f"there is no entry {entry_id} on {stream} (any more)")
    if as_json:
        show.as_json(found)
        return
    show.line(f"{found.entity_id or found.type}, event {found.id} of {found.time}")
    columns = ("station", "entry", "after s#", "state", "look yourself")
    show.table(columns, map(_row, found.stations), "")
    if found.missing:
        show.line(f"Not found on {', '.join(found.missing)}: not there yet, trimmed, or too far.")
    if found.line_protocol:
        show.line(found.line_protocol)


def _row(station: Station) -> tuple[object, ...]:
    after = None if station.after_s is None else f"{station.after_s:.3f}"
    return station.key, station.entry_id, after, station.state, station.command

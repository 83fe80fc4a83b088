"""Questions to InfluxDB in InfluxQL, and its answers as `StoredEvent`s.

InfluxQL over `/query` is the one language that InfluxDB 1.8, 2.x and 3.x share.

Source: https://docs.influxdata.com/influxdb/v1/query_language/spec/
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Literal

import msgspec

from common.errors import MalformedEvent, SinkUnavailable
from common.event import EPOCH, format_time
from common.sink.line import MAX_US, MIN_US, NONE, OTHER, measurement_name, shortest, visible
from common.sink.promise import StoredEvent

Schema = Literal["clean", "ha"]
"""How the points look: habus's own way, or that of Home Assistant's `influxdb` integration."""

_COLUMNS: Mapping[Schema, tuple[str, ...]] = {
    "clean": (
        *("value", "state", "available", "unit", "device", "previous_duration_s", "data"),
        *("area", "device_class", "entity_id", "event_type", "friendly_name"),
    ),
    "ha": (
        *("value", "state", "unit_of_measurement_str", "friendly_name_str", "device_class_str"),
        *("domain", "entity_id"),
    ),
}


class _Series(msgspec.Struct):
    name: str
    columns: list[str]
    values: list[list[str | float | bool | None]] = []


class _Result(msgspec.Struct):
    series: list[_Series] = []
    error: str = ""


class _Reply(msgspec.Struct):
    results: list[_Result] = []
    error: str = ""


_reply = msgspec.json.Decoder(_Reply)


def question(  # noqa: PLR0913 - what is asked for, each once
    schema: Schema,
    start: datetime,
    end: datetime,
    entity_id: str | None,
    limit: int,
    *,
    newest_first: bool,
) -> str:
    """Return the SELECT for events with start ≤ time < end, at most `limit` a measurement."""
    where = [f"time >= {_nanoseconds(start)}", f"time < {_nanoseconds(end)}"]
    source = "/.*/"
    if entity_id is not None:
        domain, _, object_id = entity_id.partition(".")
        if schema == "ha":
            where += [f'"domain" = {literal(domain)}', f'"entity_id" = {literal(object_id)}']
        else:
            where.append(f'"entity_id" = {literal(entity_id)}')
            source = ", ".join(identifier(name) for name in dict.fromkeys((domain, OTHER)))
    columns = ", ".join(f'"{column}"' for column in _COLUMNS[schema])
    order = "DESC" if newest_first else "ASC"
    return (
        f"SELECT {columns} FROM {source} WHERE {' AND '.join(where)}"  # noqa: S608 - escaped
        f" ORDER BY time {order} LIMIT {limit:d}"
    )


def literal(text: str) -> str:
    """Quote a tag's value as it was stored; nothing in it can end the quotes."""
    return "'" + visible(text).replace("\\", "\\\\").replace("'", "\\'") + "'"


def identifier(text: str) -> str:
    """Quote a measurement as it was stored; nothing in it can end the quotes."""
    return '"' + measurement_name(text).replace("\\", "\\\\").replace('"', '\\"') + '"'


def stored_events(
    schema: Schema, body: bytes, limit: int, *, newest_first: bool
) -> list[StoredEvent]:
    """Read an answer: the events of all measurements in order of time, at most `limit`.

    Raises:
        SinkUnavailable: When InfluxDB answers with an error, or with something else.
    """
    try:
        reply = _reply.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise SinkUnavailable(
            "what came back is no answer to a query; check that INFLUXDB_URL leads to InfluxDB"
        ) from error
    refusal = reply.error or next((r.error for r in reply.results if r.error), "")
    if refusal:
        raise SinkUnavailable(
            f"InfluxDB does not answer the query: {refusal}; check INFLUXDB_BUCKET and that"
            " INFLUXDB_TOKEN may read it"
        )
    shape = _clean if schema == "clean" else _ha
    rows = _rows(series for result in reply.results for series in result.series)
    try:
        found = [shape(name, row) for name, row in rows]
    except (ValueError, MalformedEvent) as error:
        raise SinkUnavailable(f"InfluxDB answers the query with an odd time: {error}") from error
    found.sort(key=lambda event: event.time, reverse=newest_first)
    return found[:limit]


def _rows(all_series: Iterable[_Series]) -> Iterator[tuple[str, dict[str, object]]]:
    for series in all_series:
        for values in series.values:
            yield series.name, dict(zip(series.columns, values, strict=False))


def _clean(measurement: str, row: Mapping[str, object]) -> StoredEvent:
    value = _number(row, "value")
    available = row.get("available")
    return StoredEvent(
        time=_time(row),
        measurement=measurement,
        entity_id=_tag(row, "entity_id"),
        state=_state(row, value),
        value=value,
        available=available if isinstance(available, bool) else None,
        unit=_text(row, "unit"),
        device_class=_tag(row, "device_class"),
        area=_tag(row, "area"),
        friendly_name=_tag(row, "friendly_name"),
        device=_text(row, "device"),
        previous_duration_s=_number(row, "previous_duration_s"),
        event_type=None if isinstance(available, bool) else _tag(row, "event_type"),
        data=_text(row, "data"),
    )


def _ha(measurement: str, row: Mapping[str, object]) -> StoredEvent:
    """Home Assistant's points carry the unit as their measurement, and no unavailability."""
    value = _number(row, "value")
    entity_id = f"{row.get('domain')}.{row.get('entity_id')}"
    unit = _text(row, "unit_of_measurement_str")
    return StoredEvent(
        time=_time(row),
        measurement=measurement,
        entity_id=entity_id,
        state=_state(row, value),
        value=value,
        available=True,
        unit=measurement if unit is None and measurement != entity_id else unit,
        device_class=_text(row, "device_class_str"),
        friendly_name=_text(row, "friendly_name_str"),
    )


def _time(row: Mapping[str, object]) -> str:
    when = datetime.fromisoformat(str(row.get("time")))
    return format_time(when if when.tzinfo else when.replace(tzinfo=UTC))


def _state(row: Mapping[str, object], value: float | None) -> str | None:
    state = _text(row, "state")
    return shortest(value) if state is None and value is not None else state


def _tag(row: Mapping[str, object], name: str) -> str | None:
    text = _text(row, name)
    return None if text == NONE else text


def _text(row: Mapping[str, object], name: str) -> str | None:
    value = row.get(name)
    return value if isinstance(value, str) else None


def _number(row: Mapping[str, object], name: str) -> float | None:
    value = row.get(name)
    return value if isinstance(value, float) else None


def _nanoseconds(when: datetime) -> int:
    us = (when - EPOCH) // timedelta(microseconds=1)
    return min(max(us, MIN_US), MAX_US) * 1000

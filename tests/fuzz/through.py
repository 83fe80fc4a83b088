"""The way of an event from the frame to the line, without what stands between."""

import time

import hiredis
import msgspec

from common.bus.delivery import delivery
from common.bus.entry import Field, fields_of, shared_of, values_of
from common.bus.letter import Burial, letter
from common.errors import PoisonError
from common.event import Event, microseconds
from common.registry import EMPTY, Registry
from common.sink import line, line_ha
from enrich.chain import enrich
from tests.fakes.line_protocol import parse

_NOW = "2026-11-20T15:44:33.435789+00:00"
_BURIAL = Burial(stage="fuzz", origin="fuzz", origin_id="1-1", deliveries=1, worker="fuzz", at=_NOW)
_TAGS = {"area", "device_class", "entity_id", "friendly_name"}
_FIELDS = {"value", "state", "available", "unit", "device", "previous_duration_s", "data"}


def way_of(event: Event, registry: Registry = EMPTY) -> str:
    """Send an event along all that may touch it; return where it ended: `line` or `letter`.

    Raises:
        AssertionError: When it was changed on the way, or its line is not exactly one point.
    """
    packed = msgspec.msgpack.decode(msgspec.msgpack.encode(event), type=Event)
    assert packed == event, "the spool changed it"
    hiredis.pack_command(("XADD", *shared_of(event), *values_of(event)))
    flat = [part if isinstance(part, bytes) else str(part).encode() for part in fields_of(event)]
    held = delivery("ha:raw", b"1-1", flat)
    assert held.event == event, "the bus changed it"
    try:
        enriched = enrich(event, registry, _NOW, "1", time.perf_counter_ns)
        point = line.line(enriched)
    except PoisonError as error:
        return bury(fields_of(event), error)
    hiredis.pack_command(("XADD", *shared_of(enriched), *values_of(enriched)))
    _assert_is_its_point(point, event)
    try:
        other = line_ha.line(enriched)
    except PoisonError as error:
        bury(fields_of(enriched), error)
    else:
        assert len(list(parse(other.decode()))) == bool(other), "a line of schema ha was forged"
    return "line"


def bury(flat: list[Field], error: PoisonError) -> str:
    """Make a letter as a worker would; Redis must be able to take it."""
    fields = letter(flat, error, _BURIAL)
    hiredis.pack_command(("XADD", "ha:dead", "*", *map(_plain, fields)))
    return "letter"


def _plain(field: Field) -> str | bytes:
    return field if isinstance(field, bytes) else str(field)


def _assert_is_its_point(point: bytes, event: Event) -> None:
    text = point.decode()
    assert "\n" not in text, "more than one line"
    [read] = parse(text)
    tags = _TAGS | {"event_type"} if read.measurement == "event" else _TAGS
    assert set(read.tags) == tags, f"forged tags: {read.tags}"
    assert set(read.fields) <= _FIELDS, f"forged fields: {read.fields}"
    assert read.time == microseconds(event.time), "another time"

"""The line of a gap."""

import msgspec
import pytest

from common.errors import MalformedEvent
from common.event import BACKFILL, GAP, Event
from common.sink import line_gap
from common.sink.line import known_of, measurement_of

TIME = "2026-11-20T15:44:33.435789+00:00"


def gap_event(data):
    enriched = {"available": True, "attributes": data}
    return Event("id", GAP, "", TIME, BACKFILL, "home", msgspec.json.encode(enriched))


DATA = {
    "from": "2026-11-20T15:44:33.435789+00:00",
    "to": "2026-11-20T15:45:33.435789+00:00",
    "seconds": 60.0,
    "reason": "not_recorded",
    "entities": ["sensor.a", "sensor.b"],
    "event_types": ["state_changed"],
    "recovered": 7,
}


def test_a_gap_is_one_point_of_its_own_measurement():
    """Reason is a tag; from, to, seconds, how many entities and how many recovered are fields."""
    assert line_gap.line(gap_event(DATA)) == (
        b"habus_gap,event_type=habus_gap,reason=not_recorded "
        b'data="{\\"from\\":\\"2026-11-20T15:44:33.435789+00:00\\",'
        b'\\"to\\":\\"2026-11-20T15:45:33.435789+00:00\\",\\"seconds\\":60.0,'
        b'\\"reason\\":\\"not_recorded\\",\\"entities\\":[\\"sensor.a\\",\\"sensor.b\\"],'
        b'\\"event_types\\":[\\"state_changed\\"],\\"recovered\\":7}",'
        b'entities=2.0,from="2026-11-20T15:44:33.435789+00:00",recovered=7.0,seconds=60.000000,'
        b'to="2026-11-20T15:45:33.435789+00:00" 1795189473435789'
    )
    event = gap_event(DATA)
    assert measurement_of(event, known_of(event.data)) == GAP


def test_a_gap_of_all_entities_has_no_number_of_them():
    """A field's type never changes: where all are missing, the field is absent."""
    found = line_gap.line(gap_event({**DATA, "entities": "all", "reason": ""}))
    assert b",entities=" not in found
    assert b" entities=" not in found
    assert b"reason=none" in found


@pytest.mark.parametrize("data", [{"seconds": "long"}, {"entities": 7}])
def test_what_is_no_gap_is_buried(data):
    """An injected event of this type that says something else is refused."""
    with pytest.raises(MalformedEvent):
        line_gap.line(gap_event(data))

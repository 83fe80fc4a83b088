"""Questions in InfluxQL, and the answers to them."""

import re
from datetime import UTC, datetime, timedelta, timezone

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import SinkUnavailable
from common.sink.influxql import identifier, literal, question, stored_events
from common.sink.line import visible

START = datetime(2026, 11, 20, tzinfo=UTC)
END = START + timedelta(days=1)


def answer(*series):
    return msgspec.json.encode({"results": [{"statement_id": 0, "series": list(series)}]})


def series(name, *rows, columns=("time", "value", "state", "available", "entity_id")):
    return {"name": name, "columns": list(columns), "values": [list(row) for row in rows]}


def test_a_question_is_bounded_in_time_and_number():
    """Times are nanoseconds as integers, the limit is an integer, all measurements are asked."""
    asked = question("clean", START, END, None, 7, newest_first=True)
    assert "FROM /.*/ WHERE time >= 1795132800000000000 AND time < 1795219200000000000" in asked
    assert asked.endswith("ORDER BY time DESC LIMIT 7")
    assert '"friendly_name"' in asked


def test_one_entity_is_asked_in_its_own_measurement():
    """An entity's events are in the measurement of its domain, or among the other event types."""
    asked = question("clean", START, END, "sensor.x", 7, newest_first=False)
    assert 'FROM "sensor", "event" WHERE' in asked
    assert "\"entity_id\" = 'sensor.x'" in asked
    assert asked.endswith("ORDER BY time ASC LIMIT 7")
    bell = question("clean", START, END, "event.bell", 7, newest_first=False)
    assert 'FROM "event" WHERE' in bell


def test_schema_ha_asks_for_domain_and_object_id():
    """Home Assistant's points lie in any measurement, with two tags for the entity."""
    asked = question("ha", START, END, "sensor.x", 7, newest_first=True)
    assert "FROM /.*/ WHERE" in asked
    assert "AND \"domain\" = 'sensor' AND \"entity_id\" = 'x'" in asked


def test_times_out_of_range_are_the_nearest_that_influxdb_knows():
    """The years 1 and 9999 do not overflow 64 bits, and any zone is understood."""
    first = datetime.min.replace(tzinfo=UTC)
    last = datetime.max.replace(tzinfo=UTC)
    asked = question("clean", first, last, None, 1, newest_first=True)
    times = [int(t) for t in re.findall(r"time [<>]=? (-?\d+)", asked)]
    assert all(-(2**63) < t < 2**63 for t in times)
    east = START.astimezone(timezone(timedelta(hours=5)))
    same = question("clean", east, END, None, 1, newest_first=True)
    assert same == question("clean", START, END, None, 1, newest_first=True)


@given(st.text())
def test_no_text_ends_its_quotes(text):
    """A literal or identifier is one token to its end, and means the text as it was stored."""
    quoted = literal(text)
    token = re.fullmatch(r"'((?:[^'\\\n]|\\['\\])*)'", quoted)
    assert token
    assert re.sub(r"\\(.)", r"\1", token[1]) == visible(text)
    named = identifier(text)
    token = re.fullmatch(r'"((?:[^"\\\n]|\\["\\])+)"', named)
    assert token


def test_measurements_are_merged_in_order_of_time():
    """Rows of several measurements are sorted together and cut to the limit."""
    body = answer(
        series("light", ["2026-11-20T10:00:02Z", 1, "on", True, "light.l"]),
        series(
            "sensor",
            ["2026-11-20T10:00:03.5Z", 21, None, True, "sensor.s"],
            ["2026-11-20T10:00:01.000001Z", None, "unavailable", False, "none"],
        ),
    )
    found = stored_events("clean", body, 2, newest_first=True)
    assert [e.time for e in found] == [
        "2026-11-20T10:00:03.500000+00:00",
        "2026-11-20T10:00:02.000000+00:00",
    ]
    assert (found[0].state, found[0].value, found[0].measurement) == ("21", 21.0, "sensor")
    assert (found[1].state, found[1].value) == ("on", 1.0)
    oldest = stored_events("clean", body, 9, newest_first=False)[0]
    assert (oldest.state, oldest.value, oldest.available) == ("unavailable", None, False)
    assert oldest.entity_id is None


def test_a_time_without_a_zone_is_utc():
    """Some versions leave the Z out."""
    body = answer(series("sensor", ["2026-11-20T10:00:02", 1, None, True, "sensor.s"]))
    (found,) = stored_events("clean", body, 9, newest_first=True)
    assert found.time == "2026-11-20T10:00:02.000000+00:00"


def test_other_events_have_type_and_data():
    """A row without availability is another event type, even among entities of domain `event`."""
    columns = ("time", "available", "state", "data", "event_type", "entity_id")
    body = answer(
        series(
            "event",
            ["2026-11-20T10:00:02Z", None, None, '{"a":1}', "my_event", "none"],
            ["2026-11-20T10:00:01Z", True, "x", None, "state_changed", "event.bell"],
            columns=columns,
        )
    )
    custom, bell = stored_events("clean", body, 9, newest_first=True)
    assert (custom.event_type, custom.data, custom.available) == ("my_event", '{"a":1}', None)
    assert (bell.event_type, bell.data, bell.state) == (None, None, "x")


def test_home_assistants_points_are_read_back():
    """The unit is the measurement, unless that is the entity's own name."""
    columns = ("time", "value", "state", "unit_of_measurement_str", "domain", "entity_id")
    body = answer(
        series("W", ["2026-11-20T10:00:02Z", 5.0, None, None, "sensor", "p"], columns=columns),
        series(
            "switch.s", ["2026-11-20T10:00:01Z", 1.0, "on", None, "switch", "s"], columns=columns
        ),
    )
    power, switch = stored_events("ha", body, 9, newest_first=True)
    assert (power.entity_id, power.unit, power.state) == ("sensor.p", "W", "5")
    assert (switch.entity_id, switch.unit, switch.state) == ("switch.s", None, "on")


def test_nothing_found_is_an_empty_list():
    """A result without series is no error."""
    assert stored_events("clean", b'{"results":[{"statement_id":0}]}', 9, newest_first=True) == []
    assert stored_events("clean", b'{"results":[{}]}', 9, newest_first=True) == []


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"<html>", "INFLUXDB_URL"),
        (b"\xff", "INFLUXDB_URL"),
        (b'{"error":"authorization failed"}', "authorization failed"),
        (b'{"results":[{"error":"database not found: x"}]}', "INFLUXDB_BUCKET"),
        (answer(series("sensor", ["soon", 1, None, True, "s"])), "odd time"),
        (answer(series("sensor", [None, 1, None, True, "s"])), "odd time"),
        (answer(series("sensor", ["0001-01-01T00:00:00+14:00", 1, None, True, "s"])), "odd time"),
    ],
)
def test_what_is_no_answer_is_said(body, said):
    """Rubbish and errors within a 200 are SinkUnavailable in plain words."""
    with pytest.raises(SinkUnavailable, match=said):
        stored_events("clean", body, 9, newest_first=True)

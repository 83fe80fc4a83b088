"""Schema `clean`, against influxdb-client's Point and an independent reader of line protocol."""

import contextlib
import math

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from influxdb_client import Point, WritePrecision

from common.errors import MalformedEvent, PointRejected
from common.event import microseconds, time_of
from common.sink import line, line_ha
from tests.fakes.enriched import of_home_assistant, other, state_change
from tests.fakes.line_protocol import Line, parse
from tests.fakes.recordings import VERSIONS, events

TIME = "2026-11-20T15:44:33.435789+00:00"
US = 1_795_189_473_435_789

SPECIAL = st.sampled_from([*",= \"\\'\n\r\t#:\0\x1b\x7f\x85\u2028é😀", "\\,", "\\\\", "\nx "])
NASTY = st.lists(st.one_of(SPECIAL, st.text(max_size=3)), max_size=8).map("".join)
PLAIN = st.text(st.characters(exclude_characters="\\", exclude_categories=["Cc", "Cs"]), min_size=1)
FINITE = st.floats(allow_nan=False, allow_infinity=False)


def read(event) -> Line:
    (found,) = parse(line.line(event).decode())
    return found


def test_a_number_is_a_value_and_no_state():
    """A numeric state becomes the float `value` alone, with every tag, and `none` where unknown."""
    written = line.line(state_change("sensor.kitchen", "21.4", TIME))
    assert written == (
        b"sensor,area=none,device_class=none,entity_id=sensor.kitchen,friendly_name=none"
        b" available=true,value=21.4 1795189473435789"
    )


def test_everything_known_has_its_place():
    """Area, class and name are tags; unit, device and previous duration are fields."""
    found = read(
        state_change(
            "sensor.kitchen",
            "21",
            TIME,
            unit="°C",
            device="Aqara T1",
            area="Kitchen",
            device_class="temperature",
            friendly_name="Küche, oben",
            previous_duration_s=61.4,
        )
    )
    assert found.measurement == "sensor"
    assert found.tags == {
        "area": "Kitchen",
        "device_class": "temperature",
        "entity_id": "sensor.kitchen",
        "friendly_name": "Küche, oben",
    }
    assert found.fields == {
        "available": True,
        "device": "Aqara T1",
        "previous_duration_s": 61.4,
        "unit": "°C",
        "value": 21.0,
    }
    assert found.time == US


@pytest.mark.parametrize(
    ("state", "fields"),
    [
        ("on", {"available": True, "state": "on", "value": 1.0}),
        ("off", {"available": True, "state": "off", "value": 0.0}),
        ("heat", {"available": True, "state": "heat"}),
        ("nan", {"available": True, "state": "nan"}),
        ("inf", {"available": True, "state": "inf"}),
        ("", {"available": True, "state": ""}),
        ("unavailable", {"available": False, "state": "unavailable"}),
        ("unknown", {"available": False, "state": "unknown"}),
        (None, {"available": False}),
        ("1e5", {"available": True, "value": 100000.0}),
    ],
)
def test_each_kind_of_state_has_its_fields(state, fields):
    """Words have state and value, text its state, unavailability and removals no value."""
    assert read(state_change(state=state)).fields == fields


def test_other_events_keep_their_data_and_differ_by_type():
    """Two event types at the same microsecond are two series; what they carry is a string."""
    found = read(other("my_event", {"a": 'say "x"\\\n'}, TIME))
    assert found.measurement == "event"
    assert found.tags["event_type"] == "my_event"
    assert found.tags["entity_id"] == "none"
    assert msgspec.json.decode(str(found.fields["data"])) == {"a": 'say "x"\\\n'}
    assert set(found.fields) == {"data"}
    assert read(other("your_event", {}, TIME)).series != found.series


def test_data_that_was_written_over_several_lines_stays_one_line():
    """Line breaks between the parts of handed-in JSON do not break the line."""
    event = other("e", {}, TIME)
    data = event.data.replace(b'"attributes":{}', b'"attributes":{\r\n\t"a": 1\n}')
    assert data != event.data
    written = line.line(msgspec.structs.replace(event, data=data))
    assert b"\n" not in written
    assert b"\r" not in written
    (found,) = parse(written.decode())
    assert msgspec.json.decode(str(found.fields["data"])) == {"a": 1}


def test_an_entity_of_domain_event_has_the_tags_of_that_measurement():
    """The tag set of measurement `event` is the same for entities and for other event types."""
    entity = read(state_change("event.bell", "2026-11-20T10:00:00Z"))
    assert entity.tags.keys() == read(other()).tags.keys()
    assert entity.tags["event_type"] == "state_changed"


def test_the_measurement_is_found_without_a_domain():
    """Edited data without `domain` is stored by the entity's own."""
    assert read(state_change("sensor.x", domain=None)).measurement == "sensor"
    assert read(state_change("", domain=None)).measurement == "none"


def test_a_name_cannot_turn_the_line_into_a_comment():
    """A measurement that begins with `#` would be skipped by InfluxDB without a word."""
    assert line.line(state_change("#x.y")).startswith(b"_#x,")


@given(PLAIN, PLAIN, PLAIN, FINITE, st.integers(-2_000_000_000_000_000, 4_000_000_000_000_000))
def test_agrees_with_the_reference(area, name, text, value, us):
    """Where influxdb-client's Point says it unambiguously, our line says the same."""
    time = time_of(us)
    event = state_change(
        "sensor.x", repr(value), time, area=area, friendly_name=name, device=text, unit=text
    )
    point = Point("sensor").time(us, WritePrecision.US)
    for tag, known in (("area", area), ("device_class", "none"), ("entity_id", "sensor.x")):
        point.tag(tag, known)
    point.tag("friendly_name", name)
    point.field("available", True).field("device", text).field("unit", text)  # noqa: FBT003 - Point's
    point.field("value", value)
    (reference,) = parse(point.to_line_protocol())
    assert read(event) == reference
    assert (
        line.line(event).split(b" device=")[0]
        == point.to_line_protocol().encode().split(b" available=")[0]
    )


@given(NASTY, NASTY, NASTY, NASTY, NASTY)
@example("\x85#", "", "", "", "")
def test_no_text_can_forge_anything(entity_id, area, name, state, unit):
    """One event is one line with our tags and fields, for InfluxDB 2's reader and for 3's."""
    event = state_change(
        entity_id, state, TIME, area=area, friendly_name=name, unit=unit, device_class=name
    )
    written = line.line(event)
    assert len(written.splitlines()) == 1
    texts = [list(parse(written.decode(), version)) for version in (2, 3)]
    assert texts[0] == texts[1]
    (found,) = texts[0]
    assert list(found.tags) == [
        "area",
        "device_class",
        "entity_id",
        *(["event_type"] if found.measurement == "event" else []),
        "friendly_name",
    ]
    assert found.tags["area"] == line.visible(area or "none")
    assert found.tags["friendly_name"] == line.visible(name or "none")
    assert set(found.fields) <= {"available", "unit", "state", "value"}
    assert found.time == US
    if "state" in found.fields and state.isprintable():
        assert found.fields["state"] == state


@given(NASTY, st.dictionaries(NASTY, NASTY, max_size=3))
def test_no_other_event_can_forge_anything(event_type, data):
    """Another event's type and data stay one line, and the data comes back whole."""
    written = line.line(other(event_type, data, TIME))
    assert len(written.splitlines()) == 1
    for version in (2, 3):
        (found,) = parse(written.decode(), version)
        assert found.measurement == "event"
        assert msgspec.json.decode(str(found.fields["data"])) == data


@given(st.lists(st.tuples(NASTY, NASTY), min_size=1, max_size=5))
def test_a_batch_never_has_more_lines_than_points(texts):
    """Lines joined by line feeds are read as exactly as many points."""
    body = b"\n".join(
        line.line(state_change(f"sensor.{n}", state, area=area))
        for n, (state, area) in enumerate(texts)
    )
    assert len(body.split(b"\n")) == len(texts)
    assert len(list(parse(body.decode()))) == len(texts)


@given(FINITE)
def test_no_digit_of_a_value_is_lost(value):
    """What is read back is the same float, and InfluxDB 3 can read its exponent."""
    event = state_change(state=repr(value), previous_duration_s=abs(value))
    found = read(event)
    assert found.fields["value"] == value
    assert isinstance(found.fields["value"], float)
    assert found.fields["previous_duration_s"] == abs(value)
    exponent = line.line(event).split(b"value=")[1].split(b" ")[0]
    assert b"e" not in exponent or b"." in exponent


def enriched_with(value: bytes):
    """An event whose data was edited by hand: state and value are what stands in `value`."""
    event = state_change("sensor.x", "5", TIME)
    before = b'"state":"5","value":5.0'
    assert event.data.count(before) == 1
    return msgspec.structs.replace(event, data=event.data.replace(before, value))


@pytest.mark.parametrize("schema", [line, line_ha])
@pytest.mark.parametrize(
    "value",
    [
        b'"state":"5","value":' + b"9" * 1_000_000,
        b'"state":"5","value":-' + b"9" * 400,
        b'"state":"5","value":1e999',
        b'"state":"5","value":NaN',
        b'"state":"5","value":Infinity',
        b'"state":"5","value":"5"',
        b'"state":"5","value":1e308',
        b'"state":"5","value":-0.0',
        b'"state":"5","value":5e-324',
        b'"state":"5","value":9007199254740993',
        b'"state":"' + b"9" * 1_000_000 + b'"',
        b'"state":"-' + b"9" * 400 + b'"',
        b'"state":"\\u0000\\u001b[31m\\u007f\\u0085\\u2028"',
        b'"state":"\\ud800"',
        b'"state":"\\udfff\\ud800"',
        b'"state":"\xff"',
        b'"state":"a\\nb,c=d e\\\\\\"f"',
        b'"state":"#"',
        b'"state":"' + b"\\\\" * 100_001 + b'"',
    ],
)
def test_whatever_stands_in_an_event_is_one_finite_point_or_none(schema, value):
    """Numbers without end, halves of characters, control characters: one line, or a refusal."""
    try:
        written = schema.line(enriched_with(value))
    except (MalformedEvent, PointRejected):
        return
    if not written:
        assert schema is line_ha
        return
    assert len(written.splitlines()) == 1
    assert min(written) >= ord(" ") or schema is line_ha
    for version in (2, 3):
        (found,) = parse(written.decode(), version)
        assert found.time == US
        assert all(math.isfinite(x) for x in found.fields.values() if isinstance(x, float))


ANY_CHARACTER = st.text(st.characters(), max_size=6)
"""Every code point there is, lone surrogates and NUL with them."""


@given(ANY_CHARACTER, ANY_CHARACTER, ANY_CHARACTER, ANY_CHARACTER)
def test_no_character_breaks_a_line(entity_id, kind, area, unit):
    """Every code point, in each name, ends as one point that both readers read alike."""
    event = msgspec.structs.replace(state_change(), entity_id=entity_id, type=kind)
    head = line._head(kind or "m", kind, entity_id, area, area, unit, unit, area)
    written = f"{head}available=true 1".encode(errors="replace")
    assert len(written.splitlines()) == 1
    (two,) = parse(written.decode(), 2)
    (three,) = parse(written.decode(), 3)
    assert two == three
    with contextlib.suppress(MalformedEvent):
        assert len(line.line(event).splitlines()) == 1


def test_half_a_character_is_replaced():
    """A lone surrogate, which UTF-8 cannot hold, becomes a question mark."""
    event = msgspec.structs.replace(state_change(domain="sensor"), entity_id="sensor.\ud800")
    assert read(event).tags["entity_id"] == "sensor.?"


def test_a_text_beyond_the_limit_is_too_large():
    """A string of 1 MiB is kept; a byte more is refused before InfluxDB refuses its batch."""
    limit = line.MAX_STRING_BYTES
    assert len(str(read(state_change(state="x" * limit)).fields["state"])) == limit
    for event in (
        state_change(state="x" * (limit + 1)),
        state_change(state="é" * (limit // 2 + 1)),
        state_change(unit="x" * (limit + 1)),
        other(data={"a": "x" * limit}),
    ):
        with pytest.raises(PointRejected) as caught:
            line.line(event)
        assert caught.value.reason == "too_large"


def test_a_key_beyond_the_limit_is_too_large():
    """Measurement and tags together have a limit, in bytes as they are written."""
    for area in ("x" * 65_536, " " * 33_000, "é" * 33_000):
        with pytest.raises(PointRejected) as caught:
            line.line(state_change(area=area))
        assert caught.value.reason == "too_large"
    assert read(state_change(area="x" * 65_000)).tags["area"] == "x" * 65_000


@pytest.mark.parametrize(
    "time", ["1600-01-01T00:00:00.000000+00:00", "2300-01-01T00:00:00.000000+00:00"]
)
def test_a_time_that_influxdb_cannot_keep_is_rejected(time):
    """Nanoseconds in 64 bits reach from 1677 to 2262."""
    with pytest.raises(PointRejected, match=time[:4]):
        line.line(state_change(time=time))


@pytest.mark.parametrize("time", ["soon", "", "2026-11-20T15:44:33"])
def test_what_is_no_time_is_malformed(time):
    """A time that cannot be read, or has no zone, buries the event."""
    with pytest.raises(MalformedEvent):
        line.line(state_change(time=time))


@pytest.mark.parametrize("data", [b"", b"{}", b"[1]", b"\xff", b'{"available": 1}'])
def test_what_is_no_enriched_event_is_malformed(data):
    """Data without what every enriched event has buries the event, whatever its type."""
    for event in (state_change(), other()):
        with pytest.raises(MalformedEvent):
            line.line(msgspec.structs.replace(event, data=data))
    with pytest.raises(MalformedEvent):
        line.data_of(data)


def test_what_is_kept_ready_is_never_another_entitys():
    """Events of many entities, whose facts change back and forth, each have their own line."""
    for area in ("A", "B", "A"):
        for n in range(5000):
            assert read(state_change(f"sensor.{n}", area=area)).tags["area"] == area
        assert line._head.cache_info().currsize <= 4096


def test_large_events_are_not_kept_ready():
    """The cache's memory is bounded: an event with large data leaves nothing in it."""
    line._head.cache_clear()
    line.line(state_change(attributes={"a": "x" * 20_000}))
    assert line._head.cache_info().currsize == 0


@pytest.mark.parametrize("version", VERSIONS)
def test_every_recorded_event_becomes_a_point(version):
    """Each event of a real Home Assistant is one line, with its time and its entity."""
    seen = 0
    for recorded in events(version):
        event = of_home_assistant(recorded)
        found = read(event)
        assert found.time == microseconds(event.time)
        assert found.tags["entity_id"] == (event.entity_id or "none")
        seen += 1
    assert seen > 50

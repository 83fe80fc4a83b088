import msgspec
import pytest

from common.errors import MalformedEvent
from enrich.raw import Known, read, read_known

DEEP = b'{"data":{"new_state":{"state":"1","attributes":' + b"[" * 10**5 + b"]" * 10**5 + b"}}}"
GOOD = b'{"data":{"new_state":{"state":"on","attributes":{"a":"%s"}}}}'


def malformed(event) -> str:
    with pytest.raises(MalformedEvent) as caught:
        read(event)
    return str(caught.value)


def test_state_change(make):
    """Of a state change both states are opened, and the new attributes stay bytes."""
    new = make.state("21.4", {"unit_of_measurement": "°C", "n": [1.50]})
    captured = read(make.change(new, "21.2", context={"id": "c"}))
    assert captured.old.state == "21.2"
    assert captured.old.last_changed.isoformat() == "2026-11-20T15:43:32.035789+00:00"
    assert captured.new.state == "21.4"
    assert captured.new.last_changed.isoformat() == "2026-11-20T15:44:33.435789+00:00"
    assert captured.known == Known(unit_of_measurement="°C")
    assert bytes(captured.attributes) == '{"unit_of_measurement":"°C","n":[1.5]}'.encode()
    assert bytes(captured.context) == b'{"id":"c"}'
    assert not captured.is_removal


def test_least_state_change(make):
    """A state change by hand needs no more than the new state's text."""
    captured = read(make.event({"data": {"new_state": {"state": "on"}}}))
    assert captured.new.state == "on"
    assert captured.new.last_changed is None
    assert captured.old is None
    assert bytes(captured.attributes) == b"{}"
    assert captured.context is None


def test_removal(make):
    """A new state that is null is a removal, and keeps the state before."""
    captured = read(make.change(None, "6", context={"id": "c"}))
    assert captured.is_removal
    assert captured.new is None
    assert captured.old.state == "6"
    assert bytes(captured.attributes) == b"{}"
    assert bytes(captured.context) == b'{"id":"c"}'


def test_other_type(make):
    """Of another event type the data is what it has instead of attributes."""
    captured = read(make.event(b'{"data": {"a" : 1e2} , "context": null}', "rest_event", ""))
    assert not captured.is_removal
    assert captured.new is captured.old is captured.context is None
    assert bytes(captured.attributes) == b'{"a" : 1e2}'


def test_other_type_without_data(make):
    """Another event type may come without data."""
    assert bytes(read(make.event(b"{}", "rest_event", "")).attributes) == b"{}"


@pytest.mark.parametrize("data", ["[1]", "null", '"text"', "7"])
def test_other_type_with_odd_data(make, data):
    """Data that is no object is malformed, and the message says so."""
    message = malformed(make.event(f'{{"data": {data}}}'.encode(), "rest_event", ""))
    assert message == "not an event of type 'rest_event': its data is no JSON object"


def test_context_of_the_state(make):
    """Where the event has no context, that of its new state stands in."""
    assert bytes(read(make.change("1")).context).startswith(b'{"id":"of the state"')
    assert bytes(read(make.change("1", context=None)).context).startswith(b'{"id":"of the state"')


def test_context_that_is_no_object(make):
    """A context that is no object is none."""
    assert read(make.change({"state": "1", "context": "c"}, context=5)).context is None


@pytest.mark.parametrize(
    ("data", "odd"),
    [
        (b"", "Input data was truncated"),
        (b"[]", "Expected `object`, got `array`"),
        (b"{}", "missing required field `data`"),
        (b'{"data":{}}', "missing required field `new_state` - at `$.data`"),
        (b'{"data":{"new_state":{}}}', "missing required field `state` - at `$.data.new_state`"),
        (b'{"data":{"new_state":{"state":5}}}', "Expected `str`, got `int` - at `$.data.new_st"),
        (b'{"data":{"new_state":{"state":null}}}', "Expected `str`, got `null`"),
        (b'{"data":{"new_state":null,"old_state":"on"}}', "got `str` - at `$.data.old_state`"),
        (
            b'{"data":{"new_state":{"state":"1","last_changed":"2026-11-20T15:44:33"}}}',
            "with a timezone component - at `$.data.new_state.last_changed`",
        ),
        (b'{"data":{"new_state":{"state":"1","attributes":[]}}}', "Expected `object`, got `array`"),
        (b'{"data":{"new_state":{"state":"1","attributes":null}}}', "got `null`"),
        (DEEP, "maximum recursion depth"),
        (GOOD % b"\xff", "can't decode byte 0xff"),
        (GOOD % b"\xed\xa0\x80", "can't decode byte 0xed"),
        (GOOD % b"\\ud800 and more", "unexpected end of hex escape"),
        (GOOD % b"\\udc00\\ud800", "surrogate"),
        (GOOD % b"\n", "invalid character"),
        (GOOD % b"a" + b"}", "trailing characters"),
    ],
)
def test_malformed(make, data, odd):
    """What cannot be read is malformed, and the message says what is odd and where."""
    message = malformed(make.event(data))
    assert message.startswith("not an event of type 'state_changed': ")
    assert odd in message


@pytest.mark.parametrize("entity_id", ["", "kitchen"])
def test_no_entity(make, entity_id):
    """A state change needs an entity."""
    message = malformed(make.change("1", entity_id=entity_id))
    assert message == f"a state change of no entity: its entity id is '{entity_id}'"


def test_two_entities(make):
    """An event that is of one entity outside and of another inside is not stored under either."""
    data = {"data": {"entity_id": "light.b", "new_state": {"state": "on"}}}
    message = malformed(make.event(data, entity_id="light.a"))
    assert message == "the event is of 'light.a', but its data of 'light.b'"


@pytest.mark.parametrize(
    "odd",
    ["5", "null", "[1]", '{"a":"b"}', "true", "1e999", "9" * 5000, '"x"', "[" * 99 + "]" * 99],
)
def test_known_attribute_of_any_type(odd):
    """One attribute of an odd type leaves the others as they are."""
    text = f'{{"device_class":"power","friendly_name":{odd},"state_class":"total","more":1e999}}'
    known = read_known(msgspec.Raw(text.encode()))
    assert known == Known(
        device_class="power",
        state_class="total",
        friendly_name="x" if odd == '"x"' else None,
    )


def test_known_restored():
    """`restored` is true only as a JSON boolean."""
    assert read_known(msgspec.Raw(b'{"restored":true}')) == Known(restored=True)
    assert read_known(msgspec.Raw(b'{"restored":"true"}')) == Known()

import msgspec
import pytest

from common.enriched import Enriched, Processing, decode, encode
from common.errors import MalformedEvent

PROCESSING = Processing(("value",), "0.1.0", "2026-11-20T15:44:33.435789+00:00", 0.2)


def enriched(**known):
    known = {"available": True, "attributes": msgspec.Raw(b"{}"), "quality": ()} | known
    return Enriched(**known, processing=PROCESSING)


def test_what_is_unknown_is_absent():
    """Nothing is written as an empty string or null where nothing is known."""
    assert msgspec.json.decode(encode(enriched())) == {
        "available": True,
        "attributes": {},
        "quality": [],
        "processing": {
            "steps": ["value"],
            "version": "0.1.0",
            "processed_at": "2026-11-20T15:44:33.435789+00:00",
            "ms": 0.2,
        },
    }


def test_home_assistants_json_goes_through_byte_by_byte():
    """Attributes and context keep every digit and every space."""
    odd = msgspec.Raw(b'{"a":  1.0000000000000000001, "a": "\xc2\xb5"}')
    context = msgspec.Raw(b'{"id": "1", "parent_id": null}')
    written = encode(enriched(attributes=odd, context=context))
    assert bytes(odd) in written
    assert bytes(context) in written
    read = decode(written)
    assert (bytes(read.attributes), bytes(read.context)) == (bytes(odd), bytes(context))


def test_there_and_back():
    """What was written is read as the same."""
    event = enriched(
        domain="sensor", state="21.4", value=21.4, labels=("climate",), previous_duration_s=61.4
    )
    again = decode(encode(event))
    assert encode(again) == encode(event)
    assert (again.value, again.labels, again.unit) == (21.4, ("climate",), None)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no json",
        b"[]",
        b"{}",
        b'{"available": "yes", "attributes": {}, "quality": [], "processing": {}}',
        b'{"domain": "\xff"}',
        b"[" * 100_000,
        b'{"attributes": ' + b"[" * 100_000,
    ],
)
def test_what_cannot_be_read_is_malformed(data):
    """Data that a person edited wrongly is refused, whatever is wrong with it."""
    with pytest.raises(MalformedEvent, match="not an enriched event"):
        decode(data)

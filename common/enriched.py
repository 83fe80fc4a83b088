"""Enriched: what `data` holds in `ha:enriched`."""

import msgspec

from common.errors import MalformedEvent


class Processing(msgspec.Struct, frozen=True, gc=False):
    """Who enriched it, how and when.

    Attributes:
        steps: Names of the steps that ran, in order.
        version: Version of habus.
        processed_at: ISO 8601 in UTC.
        ms: Milliseconds the chain took for this event.
    """

    steps: tuple[str, ...]
    version: str
    processed_at: str
    ms: float


class Enriched(msgspec.Struct, omit_defaults=True, kw_only=True):
    """A state change, or another event, with everything known beside it.

    What is unknown is None here and absent in JSON, never an empty string.

    Attributes:
        domain: `sensor`; None for an event without an entity.
        object_id: `kitchen_temperature`.
        state: Home Assistant's text; None for a removal and for other event types.
        value: The state as a number; on, open, home, locked… are 1.0, their opposites 0.0.
        available: False for `unavailable`, `unknown` and a removed entity.
        unit: Normalised unit, e.g. `°C`.
        area: Name of the area of the entity or, where it has none, of its device.
        labels: Ids of the labels of the entity and its device.
        previous_duration_s: Seconds the previous state lasted, at least 0.
        context: Home Assistant's context object as JSON.
        attributes: JSON object: attributes of the new state; of other events their `data`.
        quality: What is odd about it: `removed`, `restored`, `not_finite`…
    """

    domain: str | None = None
    object_id: str | None = None
    state: str | None = None
    value: float | None = None
    available: bool
    unit: str | None = None
    device_class: str | None = None
    state_class: str | None = None
    friendly_name: str | None = None
    area: str | None = None
    area_id: str | None = None
    floor: str | None = None
    labels: tuple[str, ...] = ()
    device: str | None = None
    device_id: str | None = None
    manufacturer: str | None = None
    model: str | None = None
    integration: str | None = None
    previous_state: str | None = None
    previous_duration_s: float | None = None
    context: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    attributes: msgspec.Raw
    quality: tuple[str, ...]
    processing: Processing


_decoder = msgspec.json.Decoder(Enriched)
_encoder = msgspec.json.Encoder()


def encode(enriched: Enriched) -> bytes:
    """Write it as JSON; `attributes` and `context` go through byte by byte."""
    return _encoder.encode(enriched)


def decode(data: bytes) -> Enriched:
    """Read what `encode` wrote, or what a person edited.

    Raises:
        MalformedEvent: When it is no JSON, or a key is missing or of a wrong type.
    """
    try:
        return _decoder.decode(data)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        message = f"not an enriched event: {error}"
        raise MalformedEvent(message) from error

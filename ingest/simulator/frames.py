"""The bytes of the WebSocket API's frames: templates that are filled in, as orjson would write."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

encode = msgspec.json.encode
"""Compact JSON in UTF-8; NaN and the infinities become null, as Home Assistant's encoder does."""

CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Digits of a ULID."""

CONTEXT = b'{"id":"%b","parent_id":null,"user_id":null}'
"""A context; its id."""

STATE_CHANGED = (
    b'{"type":"event","event":{"event_type":"state_changed","data":{"entity_id":"%b","old_state":%b,'
    b'"new_state":%b},"origin":"LOCAL","time_fired":"%b","context":' + CONTEXT + b"}"
)
"""An event message without its end: entity id, old state, new state, time, context id."""

EVENT = (
    b'{"type":"event","event":{"event_type":"%b","data":%b,"origin":"LOCAL","time_fired":"%b",'
    b'"context":' + CONTEXT + b"}"
)
"""An event message of any type without its end: type, data, time, context id."""

RESULT = b'{"id":%d,"type":"result","success":true,"result":%b}'
"""A result: id, JSON."""

SPACED_RESULT = b'{"id":%d,"type": "result","success":true,"result": %b}'
"""A result of the entity and device registries, which have blanks there. Source: recordings."""

NUMBERED_ATTRIBUTES = b'{%b"run":%b,"n":'
"""Attributes up to the number of the change: what comes before (ends with a comma), the run."""


def state_template(entity_id: str, *, last_reported: bool) -> bytes:
    """A state to be filled in with %.

    It takes: state as JSON, `attributes_head`, n, changed, reported if any, updated, context id.

    Args:
        entity_id: The entity, which stands in the template already.
        last_reported: Whether this version of Home Assistant writes that key.
    """
    reported = b',"last_reported":"%b"' if last_reported else b""
    name = entity_id.encode().replace(b"%", b"%%")
    return (
        b'{"entity_id":"' + name + b'","state":%b,"attributes":%b%d},"last_changed":"%b"' + reported
        + b',"last_updated":"%b","context":' + CONTEXT + b"}"
    )  # fmt: skip


def attributes_head(attributes: dict[str, Any], run: str) -> bytes:
    """Attributes as JSON up to the number `n`, which is missing: `…,"run":"r","n":`."""
    known = encode(attributes)[1:-1]
    return NUMBERED_ATTRIBUTES % (known + b"," if known else b"", encode(run))


def second(us: int) -> bytes:
    """The time up to the second, `2026-11-20T15:44:33`, of microseconds since 1970."""
    return datetime.fromtimestamp(us // 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%S").encode()


def iso(us: int) -> bytes:
    """A time as Python writes it: the fraction is absent when it is zero."""
    fraction = us % 1_000_000
    return second(us) + (b".%06d+00:00" % fraction if fraction else b"+00:00")


def ulid_head(us: int) -> bytes:
    """The first ten characters of a ULID: its milliseconds."""
    left, digits = us // 1_000, ""
    for _ in range(10):
        left, digit = divmod(left, 32)
        digits = CROCKFORD[digit] + digits
    return digits.encode()


def ulid(us: int, n: int) -> bytes:
    """A ULID whose random part is a number."""
    return ulid_head(us) + b"%016X" % n


def event(event_type: str, data: object, us: int, n: int) -> bytes:
    """An event message of any type without its end."""
    return EVENT % (event_type.encode(), encode(data), iso(us), ulid(us, n))


def finished(unended: bytes, subscription: int) -> bytes:
    """An event message with its end, the id of the subscription."""
    return b'%b,"id":%d}' % (unended, subscription)


def coalesced(unended: Sequence[bytes], subscription: int) -> bytes:
    """Several event messages of one subscription as the inside of a list frame."""
    end = b',"id":%d}' % subscription
    return (end + b",").join(unended) + end


def failure(message_id: object, code: str, text: str) -> bytes:
    """A result that says no."""
    return encode(
        {
            "id": message_id,
            "type": "result",
            "success": False,
            "error": {"code": code, "message": text},
        }
    )

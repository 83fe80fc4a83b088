"""Schema `clean`: one enriched event becomes one line of line protocol."""

import re
from functools import lru_cache

import msgspec

from common.errors import MalformedEvent, PointRejected
from common.event import GAP, STATE_CHANGED, Event, microseconds

OTHER = "event"
"""Measurement of every event type but `state_changed` and `habus_gap`."""

NONE = "none"
"""Value of a tag of which nothing is known, so that the tag set never changes shape."""

MAX_KEY_BYTES = 65_535 - 64
"""Longest measurement with its tags; InfluxDB counts the field's name and its own ids in too."""

MAX_STRING_BYTES = 1_048_576
"""Longest string field; InfluxDB 2.x refuses a longer one with 422."""

MIN_US, MAX_US = -9_223_372_036_854_775, 9_223_372_036_854_775
"""Microseconds since 1970 that fit into InfluxDB's 64 bits of nanoseconds."""

_HEADS = 4096
"""Entities whose measurement, tags and constant fields are kept ready."""

_HEAD_FITS = 16_384
"""Bytes of data up to which an event's head is kept: it bounds the memory of the cache."""

_DELETE = 127
_VISIBLE = {n: f"\\x{n:02x}" for n in (*range(32), _DELETE)} | {9: "\\t", 10: "\\n", 13: "\\r"}
_IN_KEY = str.maketrans({",": "\\,", "=": "\\=", " ": "\\ "})
_IN_STRING = str.maketrans(
    {n: "\\" + text for n, text in _VISIBLE.items() if n < _DELETE}
    | {ord('"'): '\\"', ord("\\"): "\\\\"}
)
_WHITE_SPACE = str.maketrans("\t\n\r", "   ")
_NEEDS_ESCAPE_IN_STRING = re.compile(r'["\\\x00-\x1f]').search
_AMBIGUOUS_BACKSLASH = re.compile(r"\\(?=[\\,= ]|\Z)")


class Known(msgspec.Struct, gc=False):
    """What a point needs of an `Enriched`; the rest is skipped, not decoded."""

    available: bool
    domain: str | None = None
    state: str | None = None
    value: float | None = None
    unit: str | None = None
    device_class: str | None = None
    friendly_name: str | None = None
    area: str | None = None
    device: str | None = None
    previous_duration_s: float | None = None


class _Data(msgspec.Struct, gc=False):
    attributes: msgspec.Raw


_known = msgspec.json.Decoder(Known)
_data = msgspec.json.Decoder(_Data)


def known_of(data: bytes) -> Known:
    """Read what a point needs.

    Raises:
        MalformedEvent: When it is no enriched event.
    """
    try:
        return _known.decode(data)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise MalformedEvent(f"not an enriched event: {error}") from error


def data_of(data: bytes) -> bytes:
    """Return the JSON object that an event of another type carries.

    Raises:
        MalformedEvent: When it is no enriched event.
    """
    try:
        return bytes(_data.decode(data).attributes)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise MalformedEvent(f"not an enriched event: {error}") from error


def measurement_of(event: Event, known: Known) -> str:
    """Return the domain of a state change, `habus_gap` for a gap, or `event`."""
    if event.type != STATE_CHANGED:
        return GAP if event.type == GAP else OTHER
    return known.domain or event.entity_id.partition(".")[0] or NONE


def line(event: Event) -> bytes:
    """Turn an enriched event into exactly one line, without a line feed, in microseconds.

    Raises:
        PointRejected: When its key, a string or its time is beyond what InfluxDB keeps.
        MalformedEvent: When its data is no enriched event, or its time no time.
    """
    known = known_of(event.data)
    head_of = _head if len(event.data) <= _HEAD_FITS else _head.__wrapped__
    head = head_of(
        measurement_of(event, known),
        event.type,
        event.entity_id,
        known.area,
        known.device_class,
        known.friendly_name,
        known.unit,
        known.device,
    )
    if event.type != STATE_CHANGED:
        # White space in JSON stands between its parts: within a string it is written \n, \t.
        text = data_of(event.data).decode(errors="replace").translate(_WHITE_SPACE)
        return f'{head}data="{string(text, "data")}" {timestamp(event)}'.encode(errors="replace")
    fields = f"{head}available={'true' if known.available else 'false'}"
    if known.previous_duration_s is not None:
        fields += f",previous_duration_s={_number(known.previous_duration_s)}"
    if known.state is not None and (known.value is None or not is_number(known.state)):
        fields += f',state="{string(known.state, "state")}"'
    if known.value is not None:
        fields += f",value={_number(known.value)}"
    return f"{fields} {timestamp(event)}".encode(errors="replace")


def timestamp(event: Event) -> int:
    """Microseconds since 1970.

    Raises:
        PointRejected: When InfluxDB cannot keep a time so far away.
        MalformedEvent: When it is no time.
    """
    try:
        us = microseconds(event.time)
    except (ValueError, TypeError, OverflowError) as error:
        raise MalformedEvent(f"not a time in UTC: {event.time!r}") from error
    if not MIN_US <= us <= MAX_US:
        raise PointRejected(f"InfluxDB keeps the years 1677 to 2262, not {event.time}")
    return us


def is_number(state: str) -> bool:
    """Whether a state is a plain number, so that its value says everything."""
    try:
        float(state)
    except ValueError:
        return False
    return True


def shortest(value: float) -> str:
    """Write a number as short as it can be: 21.0 is `21`."""
    return repr(value).removesuffix(".0")


def visible(text: str) -> str:
    r"""Return the text as it stands in a tag.

    Control characters are written visibly, a line feed as `\n`. A backslash before a comma,
    an equals sign, a space, another backslash or the end becomes `/`: there InfluxDB 2 and 3
    read different things, and a tag could end where none should.
    """
    return _AMBIGUOUS_BACKSLASH.sub("/", text.translate(_VISIBLE))


def key(text: str) -> str:
    """Escape a tag, its name, or the name of a field."""
    return visible(text).translate(_IN_KEY)


def measurement(text: str) -> str:
    """Escape a measurement."""
    return measurement_name(text).replace(",", "\\,").replace(" ", "\\ ")


def measurement_name(text: str) -> str:
    """Return a measurement's name as it stands in InfluxDB; `#` first would make it a comment."""
    name = visible(text) or NONE
    return f"_{name}" if name.startswith("#") else name


def string(text: str, name: str) -> str:
    """Escape the text of the string field `name`, without the quotes around it.

    Raises:
        PointRejected: When it is longer than InfluxDB keeps.
    """
    text = sized(text, name)
    return text.translate(_IN_STRING) if _NEEDS_ESCAPE_IN_STRING(text) else text


def sized(text: str, name: str) -> str:
    """Return the text of the string field `name` as it is, if it is not too long.

    Raises:
        PointRejected: When it is longer than InfluxDB keeps.
    """
    if len(text) * 4 > MAX_STRING_BYTES:
        size = len(text.encode(errors="replace"))
        if size > MAX_STRING_BYTES:
            raise PointRejected(
                f"field {name} has {size} bytes; InfluxDB keeps {MAX_STRING_BYTES}",
                reason="too_large",
            )
    return text


def checked(series: str) -> str:
    """Return a measurement with its tags as it is, if it is not too long.

    Raises:
        PointRejected: When it is longer than InfluxDB keeps.
    """
    size = len(series.encode(errors="replace"))
    if size > MAX_KEY_BYTES:
        raise PointRejected(
            f"measurement and tags have {size} bytes; InfluxDB keeps {MAX_KEY_BYTES}",
            reason="too_large",
        )
    return series


def _number(value: float) -> str:
    text = repr(value)
    # InfluxDB 3 does not read -1e+16, but -1.0e+16.
    return text if "e" not in text or "." in text else text.replace("e", ".0e")


@lru_cache(maxsize=_HEADS)
def _head(  # noqa: PLR0913, PLR0917 - the parts of a series, which together are the cache's key
    name: str,
    event_type: str,
    entity_id: str,
    area: str | None,
    device_class: str | None,
    friendly_name: str | None,
    unit: str | None,
    device: str | None,
) -> str:
    """Measurement, tags sorted by name, a space, and the string fields that seldom change."""
    tags = {
        "area": area,
        "device_class": device_class,
        "entity_id": entity_id,
        "event_type": event_type,
        "friendly_name": friendly_name,
    }
    if name != OTHER:
        del tags["event_type"]
    series = ",".join(
        [measurement(name), *(f"{tag}={key(value or NONE)}" for tag, value in tags.items())]
    )
    fields = {"device": device, "unit": unit} if event_type == STATE_CHANGED else {}
    constants = "".join(f'{k}="{string(v, k)}",' for k, v in fields.items() if v)
    return f"{checked(series)} {constants}"

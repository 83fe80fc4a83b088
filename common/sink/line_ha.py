"""Schema `ha`: the line that Home Assistant's own `influxdb` integration writes by default.

Source: https://www.home-assistant.io/integrations/influxdb/
"""

import math
import re
from collections.abc import Iterator

import msgspec

from common.errors import MalformedEvent
from common.event import STATE_CHANGED, Event
from common.sink.line import checked, key, measurement, shortest, sized, timestamp

NOTHING = b""
"""What an event becomes of which Home Assistant writes no point."""

NO_POINT = frozenset({None, "", "unknown", "unavailable"})
"""States of which Home Assistant writes no point; None is a removal."""

ONES = frozenset({"on", "locked", "above_horizon", "open", "home"})
ZEROS = frozenset({"off", "unlocked", "below_horizon", "closed", "not_home"})

_IN_STRING = str.maketrans({'"': '\\"', "\\": "\\\\"})
_LINE_BREAK = re.compile(r"\r\n|\r|\n")
_TWO_DIGITS = re.compile(r"\d\d")
_DECIMAL = re.compile(r"\d\.\d")
_NOT_DECIMAL = re.compile(r"[^\d.]+")


class _Known(msgspec.Struct, gc=False):
    attributes: dict[str, object]
    state: str | None = None


_decoder = msgspec.json.Decoder(_Known)


def line(event: Event) -> bytes:
    """Turn an enriched event into one line in microseconds, or into `NOTHING`.

    Numbers and texts of attributes are as they come in JSON: a tuple of Home Assistant's has
    become a list, a time its ISO text.

    Raises:
        PointRejected: When its key, a string or its time is beyond what InfluxDB keeps.
        MalformedEvent: When its data is no enriched event, or its time no time.
    """
    if event.type != STATE_CHANGED:
        return NOTHING
    try:
        known = _decoder.decode(event.data)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise MalformedEvent(f"not an enriched event: {error}") from error
    if known.state in NO_POINT:
        return NOTHING
    attributes = known.attributes
    unit = attributes.get("unit_of_measurement")
    named_by_unit = unit not in (None, "")
    fields = _of_state(known.state or "")
    for name, value in attributes.items():
        if not (named_by_unit and name == "unit_of_measurement"):
            _add(fields, name, value)
    written = ",".join(_written(fields))
    if not written:
        return NOTHING
    domain, _, object_id = event.entity_id.partition(".")
    tags = {"domain": domain, "entity_id": object_id}
    place = _one_line(str(unit) if named_by_unit else event.entity_id)
    series = ",".join(
        [
            measurement(place),
            *(f"{tag}={key(_one_line(text))}" for tag, text in tags.items() if text),
        ]
    )
    return f"{checked(series)} {written} {timestamp(event)}".encode(errors="replace")


def _of_state(state: str) -> dict[str, float | str]:
    number = _number(state)
    if number is not None:
        return {"value": number}
    if state in ONES | ZEROS:
        return {"state": state, "value": float(state in ONES)}
    return {"state": state}


def _add(fields: dict[str, float | str], name: str, value: object) -> None:
    """Add an attribute: as a number where it can be one, otherwise as text.

    Of a text with one number at its end, or so, Home Assistant adds the digits as well.
    """
    if name in fields:
        name += "_"
    number = _number(value)
    if number is not None:
        fields[name] = number
        return
    text = str(value)
    fields[f"{name}_str"] = text
    dots = text.count(".")
    if (dots == 0 and _TWO_DIGITS.search(text)) or (dots == 1 and _DECIMAL.search(text)):
        fields[name] = float(_NOT_DECIMAL.sub("", text))


def _number(value: object) -> float | None:
    """What Python's `float` makes of it, or None; a whole number too large for it is infinite."""
    try:
        return float(value)  # type: ignore[arg-type]
    except (ValueError, TypeError):
        return None
    except OverflowError:
        return math.inf


def _written(fields: dict[str, float | str]) -> Iterator[str]:
    """Each field sorted by its name, as influxdb-client writes it; not finite is left out."""
    for name, value in sorted(fields.items()):
        escaped = key(_one_line("time_" if name == "time" else name))
        if not escaped:
            continue
        if isinstance(value, str):
            yield f'{escaped}="{sized(_one_line(value), name).translate(_IN_STRING)}"'
        elif math.isfinite(value):
            yield f"{escaped}={shortest(value)}"


def _one_line(text: str) -> str:
    return _LINE_BREAK.sub(" ", text)

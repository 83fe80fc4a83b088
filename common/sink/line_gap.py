"""The line of a gap, in schema `clean`: a time of which events stay missing.

Schema `ha` has none: it holds what Home Assistant's own integration writes, and nothing else.
"""

import msgspec

from common.errors import MalformedEvent
from common.event import GAP, Event
from common.sink.line import NONE, data_of, key, string, timestamp


class _Gap(msgspec.Struct):
    """What `ingest/gap.py` says of a gap; `entities` is a text where it is all of them."""

    reason: str = NONE
    start: str = msgspec.field(default="", name="from")
    to: str = ""
    seconds: float = 0.0
    recovered: float = 0.0
    entities: list[str] | str = ""


_gap = msgspec.json.Decoder(_Gap)


def line(event: Event) -> bytes:
    """Turn an enriched gap into one line, without a line feed, in microseconds.

    Raises:
        PointRejected: When its time is beyond what InfluxDB keeps, or its list is too long.
        MalformedEvent: When its data is no gap, or its time no time.
    """
    data = data_of(event.data)
    try:
        gap = _gap.decode(data)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise MalformedEvent(f"not a gap: {error}") from error
    text = data.decode(errors="replace")
    entities = f"entities={len(gap.entities):.1f}," if isinstance(gap.entities, list) else ""
    return (
        f"{GAP},event_type={GAP},reason={key(gap.reason or NONE)} "
        f'data="{string(text, "data")}",{entities}from="{string(gap.start, "from")}",'
        f'recovered={gap.recovered:.1f},seconds={gap.seconds:.6f},to="{string(gap.to, "to")}" '
        f"{timestamp(event)}"
    ).encode(errors="replace")

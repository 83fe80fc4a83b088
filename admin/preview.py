"""What would become of an event, without writing it: the one file of admin that knows enrich."""

import time
from typing import Any

import msgspec

from common import __version__
from common.bus import ENRICH, STORE
from common.errors import PoisonError
from common.event import Event, time_of
from common.registry import Registry
from common.sink import Sink
from common.sink.line import line
from enrich.chain import enrich


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What would become of an event.

    Attributes:
        stage: Where it would fall; None when it would reach the sink.
        event: The enriched event; None when it would not get so far.
        line_protocol: What would be written; None when nothing would.
    """

    stage: str | None = None
    event: Event | None = None
    line_protocol: str | None = None
    reason: str | None = None
    error: str | None = None
    detail: dict[str, Any] = {}


def preview(event: Event, registry: Registry, sink: Sink[Any], *, enriched: bool) -> Outcome:
    """Do what `enrich` and `store` would do, but for the writing.

    What only the sink itself can tell, such as another type of a field, stays unknown.

    Args:
        event: As captured, or as enriched.
        registry: What is known beside it.
        sink: Makes the point.
        enriched: Whether the event was enriched already.
    """
    stage, reached = ENRICH, None
    try:
        if not enriched:
            now = time_of(time.time_ns() // 1000)
            event = enrich(event, registry, now, __version__, time.perf_counter_ns)
        stage, reached = STORE, event
        point = sink.point(event)
        written = point if isinstance(point, bytes) else line(event)
    except PoisonError as error:
        return fallen(stage, error, reached)
    return Outcome(event=event, line_protocol=written.decode("utf-8", "replace") or None)


def fallen(stage: str, error: PoisonError, event: Event | None = None) -> Outcome:
    """Return the outcome of what falls at a stage; it got there as this event, if as any."""
    detail = msgspec.to_builtins(error.detail, enc_hook=str, str_keys=True)
    return Outcome(stage=stage, event=event, reason=error.reason, error=str(error), detail=detail)

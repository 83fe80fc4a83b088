"""Previous state: what was before, and how long."""

from datetime import datetime

from common.enriched import Enriched
from common.event import parse_time
from common.registry import Registry
from enrich.raw import Captured


def measure_previous(captured: Captured, _: Registry, enriched: Enriched) -> None:
    """Set `previous_state`, and where that state ended `previous_duration_s`.

    A state ends when `last_changed` moves, or the entity is removed. When only attributes
    changed nothing has ended: the previous state is the present one, and it has no duration,
    so that the durations of a state add up to the time it really took.
    A clock that was set back gives no duration, but the quality `clock_went_back`.
    """
    old = captured.old
    if old is None:
        return
    enriched.previous_state = old.state or None
    end = _end(captured)
    if old.last_changed is None or end is None or end == old.last_changed:
        return
    seconds = (end - old.last_changed).total_seconds()
    if seconds < 0.0:
        enriched.quality += ("clock_went_back",)
    else:
        enriched.previous_duration_s = seconds


def _end(captured: Captured) -> datetime | None:
    if captured.new is None:
        return parse_time(captured.event.time)
    return captured.new.last_changed

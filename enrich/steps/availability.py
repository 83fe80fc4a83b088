"""Availability: whether the state says anything."""

from common.enriched import Enriched
from common.registry import Registry
from enrich.raw import Captured

SILENT = frozenset({"unavailable", "unknown", ""})
"""States that say nothing. An empty state is to Home Assistant's own consumers like `unknown`."""


def tell_availability(captured: Captured, _: Registry, enriched: Enriched) -> None:
    """Set `available`: False for a removed entity and for a state that says nothing."""
    new = captured.new
    enriched.available = not (captured.is_removal or (new is not None and new.state in SILENT))

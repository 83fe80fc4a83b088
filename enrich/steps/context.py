"""Context: what caused the event."""

from common.enriched import Enriched
from common.registry import Registry
from enrich.raw import Captured


def copy_context(captured: Captured, _: Registry, enriched: Enriched) -> None:
    """Set `context`, byte by byte, where there is one: events from history have none."""
    if captured.context is not None:
        enriched.context = captured.context

"""Friendly name: what people call the entity."""

from common.enriched import Enriched
from common.registry import Registry
from enrich.raw import Captured


def copy_friendly_name(captured: Captured, _: Registry, enriched: Enriched) -> None:
    """Set `friendly_name` without blanks around it."""
    name = captured.known.friendly_name
    if name is not None:
        enriched.friendly_name = name.strip() or None

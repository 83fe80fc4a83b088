"""Attributes: everything else that Home Assistant said."""

from common.enriched import Enriched
from common.registry import Registry
from enrich.raw import Captured


def copy_attributes(captured: Captured, _: Registry, enriched: Enriched) -> None:
    """Set `attributes`, byte by byte: of the new state; of other event types their `data`."""
    enriched.attributes = captured.attributes

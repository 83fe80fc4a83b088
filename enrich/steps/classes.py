"""Device class and state class: what kind of thing is measured, and how it adds up."""

from common.enriched import Enriched
from common.registry import Registry
from enrich.raw import Captured


def copy_classes(captured: Captured, _: Registry, enriched: Enriched) -> None:
    """Set `device_class` and `state_class` where they are texts."""
    known = captured.known
    enriched.device_class = known.device_class or None
    enriched.state_class = known.state_class or None

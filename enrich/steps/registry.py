"""Registry: where the entity belongs, and what it is part of."""

from common.enriched import Enriched
from common.registry import NOWHERE, Registry
from enrich.raw import Captured


def look_up_placement(captured: Captured, registry: Registry, enriched: Enriched) -> None:
    """Set area, floor, labels, device and integration, as far as the registry knows them."""
    placement = registry.placement(captured.event.entity_id)
    if placement is NOWHERE:
        return
    enriched.area = placement.area
    enriched.area_id = placement.area_id
    enriched.floor = placement.floor
    enriched.labels = placement.labels
    enriched.device = placement.device
    enriched.device_id = placement.device_id
    enriched.manufacturer = placement.manufacturer
    enriched.model = placement.model
    enriched.integration = placement.integration

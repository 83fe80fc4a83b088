"""Domain and object id: the two halves of an entity id."""

from common.enriched import Enriched
from common.registry import Registry
from enrich.raw import Captured


def split_entity_id(captured: Captured, _: Registry, enriched: Enriched) -> None:
    """Set `domain` and `object_id`; neither, where the event is of no single entity."""
    domain, dot, object_id = captured.event.entity_id.partition(".")
    if dot:
        enriched.domain = domain
        enriched.object_id = object_id

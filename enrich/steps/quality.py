"""Quality: what a reader should know before trusting the event."""

from common.enriched import Enriched
from common.registry import Registry
from enrich.raw import Captured


def mark_quality(captured: Captured, _: Registry, enriched: Enriched) -> None:
    """Add `removed`, `empty` and `restored` to `quality`.

    | mark | meaning |
    |---|---|
    | `removed` | the entity left the state machine; the event has no state |
    | `empty` | the state is an empty text |
    | `restored` | Home Assistant wrote it for an entity whose integration is not loaded (yet) |
    | `not_finite` | the state is NaN, infinite or too large: see `enrich.steps.value` |
    | `clock_went_back` | the previous state ended before it began: see `enrich.steps.previous` |
    """
    if captured.is_removal:
        enriched.quality += ("removed",)
    if captured.new is not None and not captured.new.state:
        enriched.quality += ("empty",)
    if captured.known.restored:
        enriched.quality += ("restored",)

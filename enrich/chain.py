"""The chain: a captured event goes in, an enriched one comes out."""

import traceback
from collections.abc import Callable

import msgspec

from common.enriched import Enriched, Processing, encode
from common.errors import PoisonError, StepFailed
from common.event import Event
from common.registry import Registry
from enrich.raw import EMPTY, Captured, read
from enrich.steps.attributes import copy_attributes
from enrich.steps.availability import tell_availability
from enrich.steps.classes import copy_classes
from enrich.steps.context import copy_context
from enrich.steps.domain import split_entity_id
from enrich.steps.friendly_name import copy_friendly_name
from enrich.steps.previous import measure_previous
from enrich.steps.quality import mark_quality
from enrich.steps.registry import look_up_placement
from enrich.steps.unit import normalise_unit
from enrich.steps.value import read_value

Step = Callable[[Captured, Registry, Enriched], None]
"""One enrichment: reads the captured event and the registry, writes into the enriched event."""

STEPS: tuple[Step, ...] = (
    split_entity_id,
    tell_availability,
    read_value,
    normalise_unit,
    copy_classes,
    copy_friendly_name,
    look_up_placement,
    measure_previous,
    copy_context,
    copy_attributes,
    mark_quality,
)
"""The steps in order; a later one may build on what an earlier one wrote."""


def _name(step: Step) -> str:
    """Return the name of a step: that of its file in `enrich/steps`."""
    return step.__module__.rpartition(".")[2]


NAMES = tuple(_name(step) for step in STEPS)
"""What `processing.steps` says."""

_PENDING = Processing(steps=(), version="", processed_at="", ms=0.0)


def enrich(
    event: Event,
    registry: Registry,
    processed_at: str,
    version: str,
    clock: Callable[[], int],
) -> Event:
    """Return the same event with an `Enriched` as its data.

    Args:
        event: As captured: its data is Home Assistant's event object.
        registry: What is known beside it.
        processed_at: Now, as ISO 8601 in UTC.
        version: Version of habus.
        clock: Nanoseconds of a clock that never goes back; asked before and after the steps.

    Raises:
        MalformedEvent: When the data cannot be read; bury the event.
        StepFailed: When a step raised what nobody foresaw; bury the event.
    """
    start = clock()
    captured = read(event)
    enriched = Enriched(available=True, attributes=EMPTY, quality=(), processing=_PENDING)
    for step in STEPS:
        try:
            step(captured, registry, enriched)
        except (PoisonError, MemoryError):  # no memory: whose fault that is only deaths can tell
            raise
        except Exception as error:
            raise _failed(step, error) from error
    ms = (clock() - start) // 1000 / 1000  # to the microsecond; `round` would take longer
    enriched.processing = Processing(NAMES, version, processed_at, ms)
    return msgspec.structs.replace(event, data=encode(enriched))


def _failed(step: Step, error: Exception) -> StepFailed:
    name = _name(step)
    return StepFailed(
        f"the step {name} failed: {type(error).__name__}: {error}",
        {"step": name, "traceback": "".join(traceback.format_exception(error))},
    )

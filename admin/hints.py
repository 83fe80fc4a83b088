"""What to do about dead letters, by the code of their cause."""

from collections.abc import Mapping
from typing import Final

HINTS: Final[Mapping[str, str]] = {
    "malformed_event": (
        "The event cannot be read. Look at its data: edit it and replay it, or delete it."
        " If it came from Home Assistant, this is worth an issue."
    ),
    "enrich_failed": (
        "An enrichment step failed; the detail has the traceback. Try the dry run: if this"
        " version of habus can do it, replay the whole group."
    ),
    "point_rejected": (
        "The sink refuses this point; the error has its own words. Mend what it names, or edit"
        " the data; then replay."
    ),
    "field_type_conflict": (
        "The bucket has this field with another type, from another program most likely. Write to"
        " a bucket of habus's own (INFLUXDB_BUCKET); then replay the group. In the old one the type"
        " stays until the whole measurement is deleted, with all its good points: InfluxDB cannot"
        " delete a single field."
    ),
    "outside_retention": (
        "The event is older than what the bucket keeps. Make the bucket's retention longer and"
        " replay with force, or purge the group."
    ),
    "too_large": (
        "The event is larger than the sink takes. Exclude the entity"
        " (HA_EXCLUDE_ENTITIES), or edit the data to be smaller; then replay."
    ),
    "delivery_limit": (
        "The worker died each time it held this event. Look at the worker's log for that time;"
        " after an update try one letter before you replay the group."
    ),
}
"""Code of the cause → what a person can do."""

UNKNOWN: Final = (
    "Read the error and the detail. When the cause is mended, try the dry run, then replay."
)


def hint(reason: str) -> str:
    """Say what to do about letters of this cause."""
    return HINTS.get(reason, UNKNOWN)

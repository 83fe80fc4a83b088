"""Known: what is known about an entity, from the registries and the newest events."""

from typing import Final

from pydantic import BaseModel, Field

from admin.desk import Desk
from common import enriched
from common.bus import Entry
from common.errors import MalformedEvent
from common.registry import Registry

NEWEST: Final = 1000
"""Events of the stream `enriched` that are looked through for the last state of each entity."""


class Known(BaseModel):
    """What is known about one entity; what is unknown is null."""

    entity_id: str = Field(examples=["sensor.kitchen"])
    friendly_name: str | None = Field(default=None, examples=["Kitchen"])
    area: str | None = Field(default=None, examples=["Kitchen"])
    floor: str | None = Field(default=None, examples=["Ground"])
    device: str | None = Field(default=None, examples=["Aqara T1"])
    integration: str | None = Field(default=None, examples=["zha"])
    labels: list[str] = Field(default_factory=list, examples=[["climate"]])
    unit: str | None = Field(default=None, examples=["°C"])
    state: str | None = Field(default=None, examples=["21.4"])
    value: float | None = Field(default=None, examples=[21.4])
    available: bool | None = Field(default=None, examples=[True])
    last_seen: str | None = Field(
        default=None, description="Time of the last state.", examples=["2026-11-20T15:44:33Z"]
    )

    def speaks_of(self, text: str) -> bool:
        """Whether its id, name, area or device holds the text, in upper or lower case."""
        places = (self.entity_id, self.friendly_name, self.area, self.device)
        return any(text.casefold() in (place or "").casefold() for place in places)


async def known_entities(desk: Desk) -> list[Known]:
    """Every entity of the registries and of the newest events, in the order of their ids.

    Raises:
        BusUnavailable: When Redis does not answer.
    """
    registry = await desk.registry()
    newest: dict[str, Entry] = {}
    for entry in await desk.streams.newest("enriched", NEWEST):
        newest.setdefault(entry.fields.get("entity_id", ""), entry)
    newest.pop("", None)
    ids = {entity.entity_id for entity in registry.entities} | newest.keys()
    return [_known(entity_id, registry, newest.get(entity_id)) for entity_id in sorted(ids)]


def _known(entity_id: str, registry: Registry, entry: Entry | None) -> Known:
    place = registry.placement(entity_id)
    known = Known(
        entity_id=entity_id,
        area=place.area,
        floor=place.floor,
        device=place.device,
        integration=place.integration,
        labels=list(place.labels),
    )
    try:
        last = enriched.decode((entry.fields if entry else {}).get("data", "").encode())
    except (MalformedEvent, UnicodeEncodeError):
        return known
    return known.model_copy(
        update={
            "friendly_name": last.friendly_name,
            "unit": last.unit,
            "state": last.state,
            "value": last.value,
            "available": last.available,
            "last_seen": entry.fields.get("time") if entry else None,
        }
    )

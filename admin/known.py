"""Known: what is known about an entity, from the registries and the newest events."""

import asyncio
from collections.abc import Mapping
from typing import Final

import msgspec
from pydantic import BaseModel, Field

from common import enriched
from common.bus import Entry, Streams
from common.bus.entry import Position, position_of
from common.errors import MalformedEvent
from common.registry import Registry

PAGE: Final = 1000
"""Entries that are read at once."""

FARTHEST: Final = 20_000
"""Entries of the stream `enriched` that one look goes back at most: about a second's work."""


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


class Last(msgspec.Struct, frozen=True, kw_only=True):
    """What an entity was when it was heard of last; None where that could not be read."""

    friendly_name: str | None = None
    unit: str | None = None
    state: str | None = None
    value: float | None = None
    available: bool | None = None
    last_seen: str | None = None


class Lasts:
    """The last state of each entity that passed on `enriched`.

    Asked again it reads only what came since, and so remembers also what the stream has lost.

    Args:
        streams: Where the stream is.
    """

    def __init__(self, streams: Streams) -> None:
        self._streams = streams
        self._known: dict[str, Last] = {}
        self._until: Position = (0, 0)
        self._one_at_a_time = asyncio.Lock()

    async def __call__(self) -> Mapping[str, Last]:
        """Return entity → what it was last; of one look the newest `FARTHEST` entries at most.

        Raises:
            BusUnavailable: When Redis does not answer.
        """
        async with self._one_at_a_time:
            found: dict[str, Last] = {}
            until, before = self._until, None
            for _ in range(FARTHEST // PAGE):
                page = await self._streams.newest("enriched", PAGE, before=before)
                fresh = [entry for entry in page if position_of(entry.entry_id) > self._until]
                for entry in fresh:
                    entity_id = entry.fields.get("entity_id", "")
                    if entity_id and entity_id not in found:
                        found[entity_id] = _last(entry)
                if fresh:
                    until = max(until, position_of(fresh[0].entry_id))
                if len(fresh) < PAGE:
                    break
                before = fresh[-1].entry_id
            self._known |= found
            self._until = until
            return self._known


def known_entities(registry: Registry, lasts: Mapping[str, Last]) -> list[Known]:
    """Every entity of the registries and of the stream, in the order of their ids."""
    ids = {entity.entity_id for entity in registry.entities} | lasts.keys()
    return [_known(entity_id, registry, lasts.get(entity_id, Last())) for entity_id in sorted(ids)]


def _known(entity_id: str, registry: Registry, last: Last) -> Known:
    place = registry.placement(entity_id)
    return Known(
        entity_id=entity_id,
        area=place.area,
        floor=place.floor,
        device=place.device,
        integration=place.integration,
        labels=list(place.labels),
        **msgspec.structs.asdict(last),
    )


def _last(entry: Entry) -> Last:
    try:
        last = enriched.decode(entry.fields.get("data", "").encode())
    except (MalformedEvent, UnicodeEncodeError):
        return Last()
    return Last(
        friendly_name=last.friendly_name,
        unit=last.unit,
        state=last.state,
        value=last.value,
        available=last.available,
        last_seen=entry.fields.get("time"),
    )

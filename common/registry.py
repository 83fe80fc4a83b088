"""Registry: what is known about a home beside its states."""

from collections.abc import Mapping
from functools import cached_property

import msgspec

from common.errors import MalformedEvent


class Area(msgspec.Struct, frozen=True, omit_defaults=True):
    """An area (room) of the home."""

    area_id: str
    name: str | None = None
    floor_id: str | None = None


class Floor(msgspec.Struct, frozen=True, omit_defaults=True):
    """A floor: a group of areas."""

    floor_id: str
    name: str | None = None
    level: int | None = None


class Label(msgspec.Struct, frozen=True, omit_defaults=True):
    """A label that people stick on entities and devices."""

    label_id: str
    name: str | None = None


class Device(msgspec.Struct, frozen=True, omit_defaults=True):
    """A device; `parent_device_id` is set for a child, which inherits its parent's area."""

    id: str
    name: str | None = None
    name_by_user: str | None = None
    manufacturer: str | None = None
    model: str | None = None
    area_id: str | None = None
    labels: tuple[str, ...] = ()
    parent_device_id: str | None = None


class Entity(msgspec.Struct, frozen=True, omit_defaults=True):
    """An entity that has a unique id; those of YAML without one are not in the registry."""

    entity_id: str
    device_id: str | None = None
    area_id: str | None = None
    platform: str | None = None
    labels: tuple[str, ...] = ()


class Placement(msgspec.Struct, frozen=True):
    """Where one entity belongs; None where nothing is known."""

    area: str | None = None
    area_id: str | None = None
    floor: str | None = None
    labels: tuple[str, ...] = ()
    device: str | None = None
    device_id: str | None = None
    manufacturer: str | None = None
    model: str | None = None
    integration: str | None = None


NOWHERE = Placement()
"""The placement of an entity of which the registry knows nothing."""


class Registry:
    """A snapshot of areas, floors, labels, devices and entities; never changes.

    Args:
        version: Grows with each snapshot; readers compare it to see whether theirs is stale.
    """

    KINDS: Mapping[str, type[msgspec.Struct]] = {
        "areas": Area,
        "floors": Floor,
        "labels": Label,
        "devices": Device,
        "entities": Entity,
    }
    """Field of `ha:registry` → shape of one item of the JSON list that stands there."""

    def __init__(  # noqa: PLR0913, PLR0917 - the five lists that Home Assistant has
        self,
        areas: tuple[Area, ...] = (),
        floors: tuple[Floor, ...] = (),
        labels: tuple[Label, ...] = (),
        devices: tuple[Device, ...] = (),
        entities: tuple[Entity, ...] = (),
        version: int = 0,
    ) -> None:
        self.areas = areas
        self.floors = floors
        self.labels = labels
        self.devices = devices
        self.entities = entities
        self.version = version
        self._placements: dict[str, Placement] = {}

    @classmethod
    def decode(cls, fields: Mapping[str, bytes]) -> "Registry":
        """Read the hash `ha:registry`; a list that is absent is empty.

        Also reads the lists that Home Assistant's `config/*_registry/list` commands answer:
        keys that habus does not use are dropped.

        Raises:
            MalformedEvent: When a list is no JSON, an item lacks its id, or `version` is no number.
        """
        try:
            lists = {
                kind: msgspec.json.decode(fields[kind], type=tuple[shape, ...])  # type: ignore[valid-type]
                for kind, shape in cls.KINDS.items()
                if kind in fields
            }
            version = int(fields.get("version", b"0"))
        except (msgspec.DecodeError, RecursionError, ValueError) as error:
            message = f"not a registry: {error}"
            raise MalformedEvent(message) from error
        return cls(**lists, version=version)

    def encode(self) -> dict[str, bytes]:
        """Write the fields of the hash `ha:registry`: five JSON lists and `version`."""
        fields = {kind: msgspec.json.encode(getattr(self, kind)) for kind in self.KINDS}
        fields["version"] = str(self.version).encode()
        return fields

    def placement(self, entity_id: str) -> Placement:
        """Where this entity belongs; `NOWHERE` when it is not in the registry."""
        found = self._placements.get(entity_id)
        if found is None:
            found = self._place(entity_id)
            if found is not NOWHERE:
                self._placements[entity_id] = found
        return found

    @cached_property
    def _entity_by_id(self) -> dict[str, Entity]:
        return {entity.entity_id: entity for entity in self.entities}

    @cached_property
    def _device_by_id(self) -> dict[str, Device]:
        return {device.id: device for device in self.devices}

    @cached_property
    def _area_by_id(self) -> dict[str, Area]:
        return {area.area_id: area for area in self.areas}

    @cached_property
    def _floor_by_id(self) -> dict[str, Floor]:
        return {floor.floor_id: floor for floor in self.floors}

    def _place(self, entity_id: str) -> Placement:
        entity = self._entity_by_id.get(entity_id)
        if entity is None:
            return NOWHERE
        device = self._device_by_id.get(entity.device_id or "")
        parent = self._device_by_id.get((device and device.parent_device_id) or "")
        area_id = entity.area_id or (device and device.area_id) or (parent and parent.area_id)
        area = self._area_by_id.get(area_id or "")
        floor = self._floor_by_id.get((area and area.floor_id) or "")
        labels = dict.fromkeys(entity.labels + (device.labels if device else ()))
        return Placement(
            area=(area and area.name) or None,
            area_id=area_id or None,
            floor=(floor and floor.name) or None,
            labels=tuple(labels),
            device=(device and (device.name_by_user or device.name)) or None,
            device_id=entity.device_id or None,
            manufacturer=_first("manufacturer", device, parent),
            model=_first("model", device, parent),
            integration=entity.platform or None,
        )


def _first(attribute: str, *devices: Device | None) -> str | None:
    return next((found for d in devices if d and (found := getattr(d, attribute))), None)


EMPTY = Registry()
"""The registry of a home of which nothing is known yet."""

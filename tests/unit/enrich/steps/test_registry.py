from common.registry import Area, Device, Entity, Floor, Registry
from enrich.steps.registry import look_up_placement

AREAS = (Area("kitchen", "Kitchen", "ground"), Area("cellar", "Cellar"))
FLOORS = (Floor("ground", "Ground", 0),)
PARENT = Device("parent", "Bridge", manufacturer="Hue", model="BSB", area_id="cellar")
DEVICE = Device(
    "device", "Sensor", "My sensor", "Aqara", "T1", "kitchen", ("climate",), parent_device_id=None
)


def registry(device: Device, **entity: object) -> Registry:
    entities = (Entity("sensor.kitchen_temperature", device.id, platform="zha", **entity),)
    return Registry(AREAS, FLOORS, devices=(PARENT, device), entities=entities)


def test_device(make):
    """An entity without an area is where its device is, and has its labels too."""
    enriched = make.run(
        look_up_placement, on=make.change("1"), registry=registry(DEVICE, labels=("mine",))
    )
    assert (enriched.area, enriched.area_id, enriched.floor) == ("Kitchen", "kitchen", "Ground")
    assert enriched.labels == ("mine", "climate")
    assert (enriched.device, enriched.device_id) == ("My sensor", "device")
    assert (enriched.manufacturer, enriched.model) == ("Aqara", "T1")
    assert enriched.integration == "zha"


def test_own_area(make):
    """The entity's own area goes before that of its device."""
    known = registry(DEVICE, area_id="cellar")
    enriched = make.run(look_up_placement, on=make.change("1"), registry=known)
    assert (enriched.area, enriched.area_id, enriched.floor) == ("Cellar", "cellar", None)


def test_parent_area(make):
    """A child device without an area is where its parent is."""
    known = registry(Device("child", "Lamp", parent_device_id="parent"))
    enriched = make.run(look_up_placement, on=make.change("1"), registry=known)
    assert (enriched.area, enriched.device) == ("Cellar", "Lamp")
    assert (enriched.manufacturer, enriched.model) == ("Hue", "BSB")


def test_removed_entity(make):
    """A removal has a place as long as the registry knows the entity."""
    event = make.change(None, "1")
    assert make.run(look_up_placement, on=event, registry=registry(DEVICE)).area == "Kitchen"


def test_not_registered(make):
    """Of an entity that is not in the registry nothing is known."""
    enriched = make.run(look_up_placement, on=make.change("1", entity_id="sensor.other"))
    assert (enriched.area, enriched.labels, enriched.device_id) == (None, (), None)

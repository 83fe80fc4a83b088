"""What exists in the simulated home."""

from ingest.simulator.house import AREAS, DEVICES, FLOORS, LABELS, SOCKET, STRIP, things


def test_the_house_is_large_enough():
    """There are at least 40 entities with distinct ids in 8 areas on 2 or 3 floors."""
    house = things()
    assert len({thing.entity_id for thing in house}) == len(house) >= 40
    assert len(AREAS) == 8
    assert 2 <= len(FLOORS) <= 3


def test_every_reference_leads_somewhere():
    """Areas, devices, floors and labels that are named exist."""
    areas, devices = {area[0] for area in AREAS}, {device.id for device in DEVICES}
    floors, labels = {floor[0] for floor in FLOORS}, {label[0] for label in LABELS}
    assert {area[2] for area in AREAS} <= {*floors, None}
    assert {device.area_id for device in DEVICES} <= {*areas, None}
    for thing in things(90):
        assert {thing.area_id} <= {*areas, None}
        assert {thing.device_id} <= {*devices, None}
        assert set(thing.labels) <= labels


def test_one_device_is_a_child():
    """The child device has a parent and no area of its own."""
    child = next(device for device in DEVICES if device.id == SOCKET)
    assert (child.parent_device_id, child.area_id) == (STRIP, None)


def test_plain_sensors_fill_up_to_the_count():
    """More entities than the house has are plain sensors; fewer than it has are not possible."""
    house = len(things())
    assert len(things(house + 5)) == house + 5
    assert things(house + 5)[-1].domain == "sensor"
    assert len(things(3)) == house


def test_both_micro_signs_are_there():
    """Units are written with the micro sign and with the Greek letter."""
    units = {str(thing.attributes.get("unit_of_measurement")) for thing in things()}
    assert {"\u00b5g/m³", "\u03bcg/m³"} <= units

import msgspec
import pytest

from common.errors import MalformedEvent
from common.registry import (
    EMPTY,
    NOWHERE,
    Area,
    Device,
    Entity,
    Floor,
    Label,
    Placement,
    Registry,
)

HOUSE = Registry(
    areas=(
        Area("kitchen", "Kitchen", "ground"),
        Area("attic", "Attic", "gone"),
        Area("nameless", None),
    ),
    floors=(Floor("ground", "Ground", 0),),
    labels=(Label("climate", "Climate"),),
    devices=(
        Device("plug", "Plug", None, "Aqara", "T1", "kitchen", ("power", "climate")),
        Device("named", "Plug", "My plug", None, None, None),
        Device("bridge", "Bridge", None, "Philips", "V2", "attic"),
        Device("child", "Bulb", None, None, "Hue", None, (), "bridge"),
        Device("orphan", "Bulb", parent_device_id="gone"),
    ),
    entities=(
        Entity("sensor.on_device", "plug", None, "zha", ("climate",)),
        Entity("sensor.moved", "plug", "attic", "zha"),
        Entity("sensor.alone", None, "nameless", "template"),
        Entity("sensor.renamed", "named"),
        Entity("sensor.child", "child"),
        Entity("sensor.orphan", "orphan"),
        Entity("sensor.lost", "gone", "gone", ""),
    ),
    version=3,
)


@pytest.mark.parametrize(
    ("entity_id", "placement"),
    [
        (
            "sensor.on_device",
            Placement(
                area="Kitchen",
                area_id="kitchen",
                floor="Ground",
                labels=("climate", "power"),
                device="Plug",
                device_id="plug",
                manufacturer="Aqara",
                model="T1",
                integration="zha",
            ),
        ),
        (
            "sensor.moved",
            Placement(
                area="Attic",
                area_id="attic",
                labels=("power", "climate"),
                device="Plug",
                device_id="plug",
                manufacturer="Aqara",
                model="T1",
                integration="zha",
            ),
        ),
        ("sensor.alone", Placement(area_id="nameless", integration="template")),
        ("sensor.renamed", Placement(device="My plug", device_id="named")),
        (
            "sensor.child",
            Placement(
                area="Attic",
                area_id="attic",
                device="Bulb",
                device_id="child",
                manufacturer="Philips",
                model="Hue",
            ),
        ),
        ("sensor.orphan", Placement(device="Bulb", device_id="orphan")),
        ("sensor.lost", Placement(area_id="gone", device_id="gone")),
        ("sensor.unknown", NOWHERE),
    ],
)
def test_where_an_entity_belongs(entity_id, placement):
    """An entity's own area comes before its device's, and that before its parent device's."""
    assert HOUSE.placement(entity_id) == placement
    assert HOUSE.placement(entity_id) is HOUSE.placement(entity_id)


def test_unknown_entities_do_not_fill_the_memory():
    """Endless new entities leave nothing behind."""
    registry = Registry()
    for n in range(10):
        assert registry.placement(f"sensor.{n}") is NOWHERE
    assert registry._placements == {}


def test_there_and_back():
    """A registry that went through the hash places entities the same."""
    fields = HOUSE.encode()
    assert set(fields) == {"areas", "floors", "labels", "devices", "entities", "version"}
    again = Registry.decode(fields)
    assert again.encode() == fields
    assert again.version == 3
    assert again.placement("sensor.child") == HOUSE.placement("sensor.child")


def test_nothing_known_yet():
    """An absent or partial hash is a registry with empty lists."""
    assert Registry.decode({}).encode() == EMPTY.encode()
    assert Registry.decode({"areas": b"[]"}).placement("a.b") is NOWHERE


def test_reads_home_assistants_own_lists():
    """Keys that habus does not use are dropped, those that are null count as unknown."""
    entity = {
        "entity_id": "light.a",
        "device_id": None,
        "area_id": "kitchen",
        "labels": ["climate"],
        "platform": "hue",
        "unique_id": "1",
        "options": {"conversation": {"should_expose": True}},
    }
    registry = Registry.decode({"entities": msgspec.json.encode([entity])})
    assert registry.placement("light.a") == Placement(
        area_id="kitchen", labels=("climate",), integration="hue"
    )


@pytest.mark.parametrize(
    "text",
    [b"", b"{}", b"[{}]", b'[{"area_id": 1}]', b'[{"area_id": "\xff"}]', b"[" * 100_000, b"nope"],
)
def test_a_list_that_cannot_be_read_is_malformed(text):
    """Whatever is wrong with the hash, the reader hears one error of ours."""
    with pytest.raises(MalformedEvent, match="not a registry"):
        Registry.decode({"areas": text})


def test_a_version_that_is_no_number_is_malformed():
    """A hash that a stranger wrote does not end whoever reads it."""
    with pytest.raises(MalformedEvent, match="not a registry"):
        Registry.decode({"version": b"x"})

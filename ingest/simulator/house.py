"""What exists: the floors, areas, labels, devices and entities of the simulated home."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Thing:
    """An entity of the house.

    Attributes:
        rhythm: How its state moves: one of `rhythm.NUMBERS`, or `words`, `text`, `flapping`.
        low, high: Bounds of a number; other rhythms use them as they like.
        states: What an entity that says words says, in turn.
        attributes: Those that never move.
        unrecorded: Attributes that the recorder leaves out.
        weight: How often it changes compared with the others.
        recorded: Whether the recorder keeps it.
        registered: Whether it has a unique id, and so stands in the entity registry.
        force_update: Whether the same state again counts as a change.
    """

    entity_id: str
    name: str
    rhythm: str
    low: float = 0.0
    high: float = 1.0
    states: tuple[str, ...] = ()
    attributes: Mapping[str, Any] = field(default_factory=dict)
    unrecorded: tuple[str, ...] = ()
    area_id: str | None = None
    device_id: str | None = None
    labels: tuple[str, ...] = ()
    platform: str = "zha"
    weight: int = 1
    recorded: bool = True
    registered: bool = True
    force_update: bool = False

    @property
    def domain(self) -> str:
        """The part of the entity id before the dot."""
        return self.entity_id.partition(".")[0]


@dataclass(frozen=True, slots=True)
class Device:
    """A device; one with a parent inherits its area."""

    id: str
    name: str
    manufacturer: str | None = None
    model: str | None = None
    area_id: str | None = None
    labels: tuple[str, ...] = ()
    parent_device_id: str | None = None


FLOORS = (
    ("keller", "Keller", -1),
    ("erdgeschoss", "Erdgeschoß", 0),
    ("upper_floor", "Upper floor", 1),
)
"""Floor id, name, level."""

AREAS = (
    ("kuche", "Küche", "erdgeschoss", 0.4),
    ("living_room", "Living Room", "erdgeschoss", 0.0),
    ("flur", "Flur", "erdgeschoss", -1.0),
    ("qin_shi", "寝室", "upper_floor", -1.5),
    ("bad", "Bad", "upper_floor", 1.5),
    ("buro_office", "Büro / Office", "upper_floor", 0.2),
    ("keller", "Keller, vorne", "keller", -5.0),
    ("garten", "Garten", None, -12.0),
)
"""Area id, name, floor id, how much warmer than the others (K)."""

LABELS = (
    ("critical", "Critical", "red"),
    ("energie", "Energie ⚡", None),
    ("temp", "Temp", "#00ff00"),
)
"""Label id, name, colour."""

STRIP, SOCKET, METER, HUB = (f"{kind:0>32}" for kind in ("57219", "50c4e7", "3e7e4", "4ab"))

DEVICES = (
    *(
        Device(f"{at:032x}", f"Aqara T1 {name}", "Aqara", "lumi.weather", area_id)
        for at, (area_id, name, _, _) in enumerate(AREAS, start=1)
    ),
    Device(STRIP, "Power strip", "Shelly", "Strip 4", "buro_office", ("energie",)),
    Device(SOCKET, "Socket 2", parent_device_id=STRIP),
    Device(METER, "Stromzähler", "EasyMeter", "Q3A", "keller", ("energie", "critical")),
    Device(HUB, "Hub", "Nabu Casa", "Yellow"),
)
"""Every device; `SOCKET` is a child of `STRIP` and has no area of its own."""


def measured(unit: str, device_class: str | None = None) -> dict[str, Any]:
    """Attributes of a sensor that measures."""
    kind = {"device_class": device_class} if device_class else {}
    return {"state_class": "measurement", "unit_of_measurement": unit, **kind}


def things(count: int = 0) -> tuple[Thing, ...]:
    """Every entity of the house, and plain sensors after them up to `count` in all."""
    house = (*_of_the_areas(), *_of_the_whole_house(), *_awkward())
    return (*house, *(_plain(at) for at in range(1, count - len(house) + 1)))


def _plain(at: int) -> Thing:
    area_id = AREAS[at % len(AREAS)][0]
    device_id = DEVICES[at % len(AREAS)].id
    name = f"Load {at}"
    return Thing(
        f"sensor.load_{at:05d}", name, "wave", 0.0, 2000.0, attributes=measured("W", "power"),
        area_id=area_id, device_id=device_id, platform="loadgen",
    )  # fmt: skip


def _of_the_areas() -> Iterator[Thing]:
    for device, (area, name, _, warmer) in zip(DEVICES, AREAS, strict=False):
        celsius, percent = measured("°C", "temperature"), measured("%", "humidity")
        yield Thing(f"sensor.{area}_temperature", f"{name} Temperature", "wave",
                    18.5 + warmer, 22.5 + warmer,
                    attributes=celsius, labels=("temp",), device_id=device.id,
                    weight=10)  # fmt: skip
        yield Thing(f"sensor.{area}_humidity", f"{name} Humidity", "wave", 62.0, 41.0,
                    attributes=percent, weight=6, device_id=device.id)  # fmt: skip
        yield Thing(f"sensor.{area}_battery", f"{name} Battery", "drain", 20.0, 100.0,
                    attributes=measured("%", "battery"), device_id=device.id)  # fmt: skip
        yield Thing(f"binary_sensor.{area}_motion", f"{name} Motion", "words", weight=4,
                    states=("off", "on"), attributes={"device_class": "motion"},
                    device_id=device.id)  # fmt: skip
        yield Thing(f"light.{area}", f"{name} Light", "words", low=67.0, states=("off", "on", "on"),
                    attributes={"supported_color_modes": ["hs"], "supported_features": 4},
                    area_id=area, platform="hue", weight=2)  # fmt: skip


def _of_the_whole_house() -> Iterator[Thing]:
    def power(object_id: str, name: str, most: float, device_id: str) -> Thing:
        return Thing(f"sensor.{object_id}", name, "power", 1.0, most, weight=15, platform="shelly",
                     attributes=measured("W", "power"), device_id=device_id,
                     labels=("energie",))  # fmt: skip

    total = {**measured("kWh", "energy"), "state_class": "total_increasing"}
    modes = {
        "hvac_modes": ["heat", "off"],
        "min_temp": 7.0,
        "max_temp": 35.0,
        "supported_features": 385,
    }
    yield power("house_power", "Hausverbrauch", 4200.0, METER)
    yield power("socket_power", "Socket Power", 350.0, SOCKET)
    yield power("strip_power", "Strip Power", 900.0, STRIP)
    yield Thing("sensor.house_energy", "Zählerstand", "meter", 12_345.0, 12_345.1, attributes=total,
                device_id=METER, labels=("energie",), platform="shelly", weight=8)  # fmt: skip
    yield Thing("sensor.garden_light_level", "Helligkeit", "daylight", 0.0, 40_000.0,
                attributes=measured("lx", "illuminance"), area_id="garten", weight=6)  # fmt: skip
    yield Thing("sensor.air_pressure", "Luftdruck", "wave", 1005.0, 1021.0,
                attributes=measured("hPa", "atmospheric_pressure"), area_id="garten",
                weight=3)  # fmt: skip
    for object_id, name in (("front_door", "Haustür"), ("balcony_door", "Balkontür")):
        yield Thing(f"binary_sensor.{object_id}", name, "words", states=("off", "on"),
                    attributes={"device_class": "door"}, area_id="flur")  # fmt: skip
    yield Thing("climate.living_room", "Heizkörper", "words", high=21.5, weight=2,
                states=("heat", "heat", "off"), attributes=modes, area_id="living_room",
                platform="generic_thermostat")  # fmt: skip
    yield Thing("cover.living_room", "Rollladen", "words", high=100.0,
                states=("closed", "opening", "open", "closing"), area_id="living_room",
                attributes={"supported_features": 15}, platform="shelly")  # fmt: skip
    yield Thing("lock.front_door", "Haustürschloss", "words", states=("locked", "unlocked"),
                area_id="flur", labels=("critical",), platform="nuki")  # fmt: skip
    yield Thing("switch.pump", "Zirkulationspumpe", "words", states=("off", "on"), area_id="keller")
    yield Thing("person.anna", "Anna", "words", states=("home", "not_home", "Büro"),
                attributes={"editable": True, "id": "anna"}, platform="person")  # fmt: skip
    yield Thing("device_tracker.anna_phone", "Annas Telefon", "words", states=("home", "not_home"),
                attributes={"source_type": "gps"}, platform="mobile_app")  # fmt: skip
    yield Thing("sun.sun", "Sun", "words", states=("above_horizon",) * 9 + ("below_horizon",) * 9,
                unrecorded=("elevation", "azimuth", "rising", "next_noon_in_turns"),
                registered=False, weight=4)  # fmt: skip
    yield Thing("weather.home", "Wetter", "words", states=("sunny", "sunny", "cloudy", "rainy"),
                attributes={"temperature_unit": "°C", "attribution": "Made up"},
                unrecorded=("attribution",), platform="met", weight=2)  # fmt: skip
    yield Thing("media_player.living_room", "Fernseher", "words",
                states=("playing", "playing", "paused", "off"),
                attributes={"supported_features": 119_695},
                unrecorded=("entity_picture", "media_position"), area_id="living_room",
                platform="cast", weight=2)  # fmt: skip
    yield Thing("camera.entrance", "Kamera Eingang", "words", states=("idle", "recording"),
                unrecorded=("access_token", "entity_picture"), area_id="garten",
                platform="demo")  # fmt: skip


def _awkward() -> Iterator[Thing]:
    odd = ("21", "NaN", "inf", "-inf", "1e5", "1_000", " 7 ", "", "0x1F", "nan", "-0.0", "unknown")
    texts = ('say "hi"\\', "two\nlines", "a,b=c d", "Grüße 🌞", "x" * 240)
    yield Thing("sensor.flaky", "Flaky", "flapping", states=("1013", "1014"),
                attributes=measured("hPa", "pressure"), weight=3)  # fmt: skip
    yield Thing("sensor.odd_numbers", "Odd", "words", states=odd, attributes=measured("°C"))
    yield Thing(
        "sensor.note",
        "Notiz\twith tab",
        "text",
        states=texts,
        registered=False,
        platform="template",
    )
    yield Thing("sensor.dust_micro_sign", "Feinstaub \u00b5", "wave", 3.0, 40.0,
                attributes=measured("\u00b5g/m³", "pm25"), area_id="living_room")  # fmt: skip
    yield Thing("sensor.dust_greek_mu", "Feinstaub \u03bc", "wave", 3.0, 40.0,
                attributes=measured("\u03bcg/m³", "pm25"), area_id="living_room")  # fmt: skip
    yield Thing("sensor.huge_attributes", "Fahrplan", "words", states=("11:42", "11:57"),
                attributes={"departures": [f"Linie {at} → Süd" for at in range(900)]})  # fmt: skip
    yield Thing("button.doorbell", "Klingel", "words", states=("unknown",), force_update=True,
                attributes={"device_class": "doorbell"}, device_id=HUB)  # fmt: skip
    yield Thing("counter.steady", "", "words", states=("5",),
                attributes={"step": 1, "value": 9, "state": "five"},
                registered=False, platform="counter")  # fmt: skip
    yield Thing("sensor.unrecorded_wifi", "WLAN-Signal", "wave", -80.0, -50.0, recorded=False,
                attributes=measured("dBm", "signal_strength"), device_id=HUB, weight=3)  # fmt: skip
    yield Thing("input_number.level", "Level", "wave", -10.0, 10.0, registered=False,
                attributes={"min": -10.0, "max": 10.0, "step": 0.001, "mode": "slider"},
                platform="input_number")  # fmt: skip
    yield Thing(
        "sensor.renamed_often", "Renamed", "wave", 0.0, 1.0, attributes=measured("V", "voltage")
    )
    yield Thing(
        "sensor.comes_and_goes",
        "Comes and goes",
        "wave",
        0.0,
        1.0,
        attributes=measured("A", "current"),
    )

"""How values move."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.simulator import rhythm
from ingest.simulator.house import Thing, things

NUMBERS = [thing for thing in things() if thing.rhythm in rhythm.NUMBERS]
DAYS = st.floats(0.0, 1.0, exclude_max=True)


@given(st.sampled_from(NUMBERS), DAYS, st.integers(0, 10_000))
def test_numbers_stay_within_their_bounds(thing: Thing, day: float, turn: int):
    """A number lies between its bounds; a meter only grows."""
    value = rhythm.number(thing, day, turn)
    if thing.rhythm == "meter":
        assert value <= rhythm.number(thing, day, turn + 1)
    else:
        assert min(thing.low, thing.high) <= value <= max(thing.low, thing.high)


@given(st.floats(-1e6, 1e6), st.integers(1, 10**9))
def test_a_number_tells_its_change(value: float, n: int):
    """The last three decimals are n modulo 1000, and agree with no other such number."""
    state = rhythm.numbered(f"{value:.1f}", n)
    assert int(state[-3:]) == n % 1000
    assert rhythm.agrees(float(state), n)
    assert not rhythm.agrees(float(state), n + 1)


@given(st.integers(1, 10**9))
def test_a_meter_tells_its_change(n: int):
    """A meter never falls, and its last three decimals are n modulo 1000."""
    assert rhythm.agrees(float(rhythm.metered(12_345.0, n)), n)
    assert float(rhythm.metered(12_345.0, n)) < float(rhythm.metered(12_345.0, n + 1))


def test_it_is_warmer_in_the_afternoon():
    """Temperatures follow the day, and so does daylight."""
    room = Thing("sensor.t", "T", "wave", 18.0, 22.0)
    assert rhythm.number(room, 0.625, 1) > 21.5
    assert rhythm.number(room, 0.125, 1) < 18.5
    light = Thing("sensor.l", "L", "daylight", 0.0, 100.0)
    assert rhythm.number(light, 0.0, 1) == 0.0
    assert rhythm.number(light, 0.5, 1) == 100.0


def test_words_come_in_turn():
    """An entity that says words says the next of its states."""
    thing = Thing("lock.l", "L", "words", states=("locked", "unlocked"))
    assert [rhythm.word(thing, turn) for turn in range(3)] == ["locked", "unlocked", "locked"]
    flapping = Thing("sensor.f", "F", "flapping", states=("1", "2"))
    assert [rhythm.word(flapping, turn) for turn in range(4)] == [
        "1",
        "unavailable",
        "1",
        "unavailable",
    ]
    assert rhythm.word(Thing("sensor.x", "X", "text", states=("a\n",)), 7) == "a\n 7"


@pytest.mark.parametrize("thing", things(), ids=lambda thing: thing.entity_id)
def test_every_entity_has_attributes_in_every_state(thing: Thing):
    """Attributes hold what the house says of them, and the name where there is one."""
    for turn in range(12):
        state = "1" if thing.rhythm in rhythm.NUMBERS else rhythm.word(thing, turn)
        attributes = rhythm.attributes(thing, state, 0.4, turn)
        assert attributes.get("friendly_name", "") == thing.name
        if state != "unavailable":
            assert thing.attributes.items() <= attributes.items()
    assert rhythm.moves_attributes(thing) == (thing.rhythm not in rhythm.NUMBERS)


def test_unavailable_entities_lose_attributes():
    """Without availability only unit, classes and the like stay."""
    thing = Thing("sensor.x", "X", "flapping", attributes={"device_class": "power", "more": 1})
    kept = rhythm.attributes(thing, "unavailable", 0.0, 0)
    assert kept == {"device_class": "power", "friendly_name": "X"}


def test_secrets_are_there_to_be_removed():
    """The camera carries an access token, the player a picture with one; both move."""
    by_id = {thing.entity_id: thing for thing in things()}
    camera, player = by_id["camera.entrance"], by_id["media_player.living_room"]
    tokens = {rhythm.attributes(camera, "idle", 0.0, turn)["access_token"] for turn in range(1, 4)}
    assert len(tokens) == 3
    assert "token=" in rhythm.attributes(player, "playing", 0.0, 3)["entity_picture"]
    assert "entity_picture" not in rhythm.attributes(player, "off", 0.0, 3)
    assert rhythm.attributes(by_id["climate.living_room"], "off", 0.0, 1)["temperature"] is None
    assert (
        rhythm.attributes(by_id["cover.living_room"], "opening", 0.0, 1)["current_position"] == 50
    )
    assert rhythm.attributes(by_id["light.bad"], "off", 0.0, 1)["brightness"] is None

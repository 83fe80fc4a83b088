"""What happens beside states that change."""

import json
from typing import Any

import pytest

from ingest.simulator import happenings
from ingest.simulator.happenings import Said
from ingest.simulator.home import RUNNING, STARTING, Home
from ingest.simulator.settings import Settings

T = 1_795_189_957_435_789


def home_of(version: str = "2026.11.0") -> Home:
    home = Home(Settings(rate=0, version=version), "r")
    home.change(list(home.lives.values()), T - 1_000_000, sent=False)
    return home


def read(said: list[Said]) -> list[tuple[str, dict[str, Any]]]:
    told = [(kind, json.loads(event + b"}")["event"]) for kind, events in said for event in events]
    assert all(kind == event["event_type"] for kind, event in told)
    return [(kind, event["data"]) for kind, event in told]


@pytest.mark.parametrize(("version", "first"), [("2024.3.3", 0), ("2026.11.0", 2)])
def test_rename(version: str, first: int):
    """A rename removes the old id, and the new one appears with the same state."""
    home = home_of(version)
    said = read(happenings.rename(home, "lock.front_door", "lock.door", T, sent=True))
    kinds = [kind for kind, _ in said]
    assert kinds.index("entity_registry_updated") == first
    states = [data for kind, data in said if kind == "state_changed"]
    assert states[0]["new_state"] is states[1]["old_state"] is None
    assert states[1]["new_state"]["state"] == "locked"
    assert states[1]["new_state"]["attributes"]["friendly_name"] == "Haustürschloss"
    assert "lock.front_door" not in home.lives
    with pytest.raises(KeyError):
        happenings.rename(home, "lock.front_door", "lock.door", T, sent=True)


def test_rename_of_what_has_no_state():
    """An entity without a state is renamed with the state unknown."""
    home = home_of()
    home.forget()
    said = read(happenings.rename(home, "lock.front_door", "lock.door", T, sent=True))
    assert said[1][1]["new_state"]["state"] == "unknown"


def test_remove_add_move():
    """Each tells the registry, and the states where they change."""
    home = home_of()
    assert [kind for kind, _ in read(happenings.remove(home, "light.bad", T, sent=True))] == [
        "state_changed",
        "entity_registry_updated",
    ]
    added = read(happenings.add(home, "sensor.new_one", "bad", T, sent=True))
    assert added[0][1] == {"action": "create", "entity_id": "sensor.new_one"}
    assert added[1][1]["new_state"]["attributes"]["friendly_name"] == "New one"
    moved = read(happenings.move(home, "sensor.new_one", None, T))
    assert moved[0][1]["changes"] == {"area_id": "bad"}
    assert home.lives["sensor.new_one"].thing.area_id is None


def test_start():
    """Half of the registered entities are restored first; then every entity has a state."""
    home = home_of()
    home.forget()
    begun = read(happenings.start(home, T, sent=True))
    assert home.phase == STARTING
    restored = [data for kind, data in begun if kind == "state_changed"]
    assert {data["new_state"]["state"] for data in restored} == {"unavailable"}
    assert all(data["new_state"]["attributes"]["restored"] is True for data in restored)
    assert 0 < len(restored) < len(home.lives)
    finished = read(happenings.finish_start(home, T, sent=True))
    assert home.phase == RUNNING
    news = [data["new_state"] for kind, data in finished if kind == "state_changed"]
    assert len(news) == len(home.lives)
    assert not any("restored" in new["attributes"] for new in news)
    assert finished[-1][0] == "homeassistant_started"


def test_everyday():
    """Things happen in turn, and leave out what cannot happen."""
    home = home_of()
    kinds = []
    for turn in range(8):
        said = read(happenings.everyday(home, turn, T + turn, sent=True))
        kinds.append([kind for kind, _ in said][-1])
    registry, call = "entity_registry_updated", "call_service"
    assert kinds == [registry, registry, "state_changed", call] * 2
    assert happenings.FIRST_NAME in home.lives
    happenings.remove(home, happenings.FIRST_NAME, T, sent=False)
    happenings.remove(home, happenings.GUEST, T, sent=False)
    for turn in (0, 1):
        assert read(happenings.everyday(home, turn, T, sent=True))[-1][0] == call
    happenings.everyday(home, 2, T, sent=True)
    assert read(happenings.everyday(home, 2, T, sent=True))[-1][0] == call

"""The living house, without a socket."""

import json
from typing import Any

import pytest

from ingest.simulator.home import LATE_US, SECOND, Home, day_at
from ingest.simulator.oracle import changes_in
from ingest.simulator.rhythm import NUMBERS, agrees
from ingest.simulator.settings import Settings
from tests.fakes.recordings import events

T = 1_795_189_957_435_789
"""Some time, in microseconds since 1970."""


def home_with(lines: list[bytes] | None = None, **settings: Any) -> Home:
    home = Home(Settings(**{"rate": 0, **settings}), "r", None if lines is None else lines.extend)
    home.change(list(home.lives.values()), T - SECOND, sent=False)
    return home


def read(unended: list[bytes]) -> list[dict[str, Any]]:
    return [json.loads(event + b"}")["event"] for event in unended]


def test_changes_are_numbered_without_a_hole():
    """n is dense, times are unique and grow, and each old state is the new one before it."""
    home = home_with()
    told = read(home.happen(500, T, sent=True)) + read(home.happen(500, T - 5_000, sent=True))
    news = [event["data"]["new_state"] for event in told]
    first = len(home.lives) + 1
    assert [new["attributes"]["n"] for new in news] == list(range(first, first + 1000))
    assert {new["attributes"]["run"] for new in news} == {"r"}
    times = [event["time_fired"] for event in told]
    assert sorted(set(times)) == times
    last: dict[str, Any] = {}
    for event in told:
        entity_id, old, new = (
            event["data"][key] for key in ("entity_id", "old_state", "new_state")
        )
        assert old["state"] is not None
        assert old == last.get(entity_id, old)
        assert event["time_fired"] == new["last_updated"] == new["last_reported"]
        assert event["context"] == new["context"]
        last[entity_id] = new
    assert json.loads(b"[" + b",".join(home.states()) + b"]")


@pytest.mark.parametrize("version", ["2024.3.3", "2026.2.3"])
def test_events_have_the_recorded_shape(version: str):
    """A state_changed has the keys, in the order, that a real home's has."""

    def shape(event: dict[str, Any]) -> list[list[str]]:
        states = [event["data"][key] for key in ("old_state", "new_state")]
        parts = [event, event["data"], event["context"], *states, *(s["context"] for s in states)]
        return [list(part) for part in parts]

    recording = "b_events_plain" if version == "2024.3.3" else None
    real = next(
        event
        for event in events(version, recording)
        if event["event_type"] == "state_changed"
        and event["data"]["old_state"]
        and event["data"]["new_state"]
    )
    ours = read(home_with(version=version).happen(1, T, sent=True))[0]
    assert shape(ours) == shape(real)


def test_numbers_tell_their_change():
    """The last three decimals of every number are n modulo 1000."""
    home = home_with(entities=120)
    for event in read(home.happen(2_000, T, sent=True)):
        new = event["data"]["new_state"]
        if home.lives[new["entity_id"]].thing.rhythm in NUMBERS:
            assert agrees(float(new["state"]), new["attributes"]["n"])


def test_the_demo_is_believable():
    """In the demo a number has one decimal, and a meter too."""
    home = home_with(demo=True)
    told = read(home.happen(500, T, sent=True))
    numbers = [event["data"]["new_state"]["state"] for event in told
               if home.lives[event["data"]["entity_id"]].thing.rhythm in NUMBERS]  # fmt: skip
    assert all(len(state.partition(".")[2]) == 1 for state in numbers)


def test_attribute_changes_keep_last_changed():
    """The same state again keeps last_changed, unless the entity forces an update."""
    home = home_with()
    steady, bell = home.lives["counter.steady"], home.lives["button.doorbell"]
    told = read(home.change([steady, bell], T, sent=True))
    kept, forced = (event["data"]["new_state"] for event in told)
    assert kept["last_changed"] < kept["last_updated"]
    assert forced["last_changed"] == forced["last_updated"]
    assert kept["attributes"]["n"] == forced["attributes"]["n"] - 1


def test_now_and_then_a_time_has_no_fraction():
    """At each tenth second a change is stamped with the whole second, if it is not long ago."""
    home = home_with()
    whole = T - T % (10 * SECOND) + 10 * SECOND
    told = read(home.happen(2, whole + LATE_US - 1, sent=True))
    assert [len(event["time_fired"]) for event in told] == [25, 32]
    home = home_with()
    assert len(read(home.happen(1, whole + LATE_US, sent=True))[0]["time_fired"]) == 32
    assert len(read(home.happen(1, whole + SECOND + 5, sent=True))[0]["time_fired"]) == 32


def test_the_oracle_hears_first():
    """Each batch is logged before it is handed out, with the state and whether it is sent."""
    lines: list[bytes] = []
    home = home_with(lines)
    known = len(home.lives)
    told = read(home.happen(300, T, sent=True))
    changes = list(changes_in(b"".join(lines)))
    assert [change.n for change in changes] == list(range(1, known + 301))
    assert not any(change.sent for change in changes[:known])
    for change, event in zip(changes[known:], told, strict=True):
        assert change.sent
        assert change.state == event["data"]["new_state"]["state"]
        assert change.entity_id == event["data"]["entity_id"]
    count = len(lines)
    home.change([], T, sent=True)
    assert len(lines) == count


def test_history_keeps_what_nobody_heard():
    """Rows are kept for all but what the recorder excludes, without what is never recorded."""
    home = home_with()
    home.happen(600, T, sent=False)
    camera = home.history.ring("camera.entrance")
    assert all(b"access_token" not in row[3] for row in camera)
    assert len(home.history.ring("sensor.unrecorded_wifi")) == 0
    assert home.history.ring("sensor.huge_attributes")[-1][3] == b""
    home.live_through(T + SECOND, T + 3 * SECOND, SECOND)
    assert len(camera) > 2


def test_a_removed_entity_has_no_new_state():
    """Its event says null, its history a removal, and it has no turn any more."""
    lines: list[bytes] = []
    home = home_with(lines)
    life = home.lives["light.bad"]
    event = read([home.take_away(life, T, sent=True)])[0]
    assert event["data"]["new_state"] is None
    assert event["data"]["old_state"]["entity_id"] == "light.bad"
    assert home.history.ring("light.bad")[-1][2] is None
    last = list(changes_in(b"".join(lines)))[-1]
    assert (last.n, last.state, last.sent) == (home.n, None, True)
    told = read(home.happen(600, T + SECOND, sent=True))
    assert "light.bad" not in {event["data"]["entity_id"] for event in told}


def test_after_a_restart_old_states_are_null():
    """What is forgotten is not in the snapshot, and comes back without an old state."""
    home = home_with()
    home.forget()
    assert home.states() == []
    told = read(home.happen(1, T, sent=True))
    assert told[0]["data"]["old_state"] is None
    assert len(home.states()) == 1
    light = home.lives["light.bad"]
    light.rendered = None
    assert read([home.take_away(light, T, sent=False)])[0]["data"]["old_state"] is None


def test_the_same_seed_makes_the_same_house():
    """Two homes with one seed let the same entities change in the same order."""
    first, second, other = (
        [
            event["data"]["entity_id"]
            for event in read(home_with(seed=seed).happen(50, T, sent=True))
        ]
        for seed in (1, 1, 2)
    )
    assert first == second != other


def test_the_rate_decides_how_many_there_are():
    """A fast home has as many entities as its rate asks for."""
    assert len(Home(Settings(rate=20_000), "r").lives) == 1_000
    assert len(Home(Settings(rate=20_000, entities=200), "r").lives) == 200


def test_the_day_is_local():
    """The home is an hour ahead of UTC."""
    assert day_at(0) == pytest.approx(1 / 24)

"""What the simulated recorder keeps, and how it answers."""

import json
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.simulator.history import (
    History,
    Question,
    Row,
    answer_for,
    is_entity_id,
    microseconds_of,
    visible_until,
)
from ingest.simulator.settings import FLAVOURS, Flavour
from tests.fakes.recordings import frames

OLD, SEEN, NEW = FLAVOURS.values()
T = 1_795_189_957_000_000
HEAD = b'{"unit":"W","run":"r","n":'
WINDOW = (T + 10, T + 60)

ROWS: list[Row] = [
    (T + 10, T + 10, b'"a"', HEAD, 1),
    (T + 20, T + 20, b'"b"', HEAD, 2),
    (T + 30, T + 20, b'"b"', HEAD, 3),
    (T + 40, T + 40, b'"c"', b"", 4),
    (T + 50, T + 50, None, b"", 5),
    (T + 60, T + 60, b'"d"', HEAD, 6),
]


def asked(entity_id: str = "sensor.x", flavour: Flavour = NEW, **parameters: Any) -> list[Any]:
    question = Question("", [entity_id], **parameters)
    return [json.loads(row) for row in answer_for(entity_id, ROWS, question, WINDOW, flavour)]


def states(rows: list[dict[str, Any]]) -> list[str | None]:
    return [row["s"] for row in rows]


def test_both_bounds_are_exclusive():
    """A row at the start or at the end of the window is not in the answer."""
    rows = asked(include_start_time_state=False, significant_changes_only=False)
    assert states(rows) == ["b", "b", "c", ""]
    assert [round(row["lu"] * 1e6) - T for row in rows] == [20, 30, 40, 50]


def test_the_start_state_is_synthetic():
    """The state at the start is put in front, with the start's own time."""
    first = asked()[0]
    assert (first["s"], first["lu"]) == ("a", (T + 10) / 1e6)
    question = Question("", ["sensor.x"])
    assert answer_for("sensor.x", ROWS, question, (T, T + 5), NEW) == []
    removed = answer_for("sensor.x", ROWS, question, (T + 55, T + 99), NEW)
    assert [json.loads(row)["s"] for row in removed] == ["d"]


def test_insignificant_changes_are_hidden():
    """By default a change of attributes alone is not in the answer, but for some domains."""
    assert states(asked(include_start_time_state=False)) == ["b", "c", ""]
    assert states(asked("climate.x", include_start_time_state=False)) == ["b", "b", "c", ""]


def test_last_changed_is_there_only_when_it_differs():
    """lc stands beside lu only for a change of attributes, and only when those are asked for."""
    rows = asked(include_start_time_state=False, significant_changes_only=False)
    assert [round(row["lc"] * 1e6) - T if "lc" in row else None for row in rows] == [
        None,
        20,
        None,
        None,
    ]
    climate = asked("climate.x", include_start_time_state=False)
    assert not any("lc" in row for row in climate)


def test_a_minimal_response_is_minimal():
    """The first row is full, the others are state and time, repeated states are left out."""
    rows = asked(minimal_response=True, significant_changes_only=False)
    assert [set(row) for row in rows] == [{"s", "a", "lu"}, *[{"s", "lu"}] * 3]
    assert states(rows) == ["a", "b", "c", ""]
    assert all("a" in row for row in asked("climate.x", minimal_response=True))
    bare = asked(minimal_response=True, no_attributes=True)
    assert "a" not in bare[0]


def test_attributes_can_be_left_out():
    """Without attributes they are empty; those that were too large always are."""
    full = asked(include_start_time_state=False)
    assert full[0]["a"] == {"unit": "W", "run": "r", "n": 2}
    assert full[1]["a"] == {}
    assert asked(no_attributes=True)[0]["a"] == {}


@pytest.mark.parametrize(("flavour", "removed"), [(OLD, None), (SEEN, None), (NEW, "")])
def test_a_removed_entity(flavour: Flavour, removed: str | None):
    """A removal is null in older versions and an empty text in the newest."""
    assert states(asked(flavour=flavour))[-1] == removed
    assert states(asked(flavour=flavour, minimal_response=True))[-1] == removed


def test_answers_have_the_recorded_shape():
    """Rows have the keys, in the order, that a real recorder's have."""
    for version, flavour in (("2024.3.3", OLD), ("2026.2.3", SEEN)):
        shapes = set()
        for frame in frames(version, "d_history"):
            text = str(frame.get("text"))
            if frame["dir"] == "recv" and frame.get("conn") == "history" and '"result":{' in text:
                result = json.loads(text)["result"]
                for rows in result.values():
                    shapes |= {tuple(row) for row in rows if isinstance(row, dict) and "s" in row}
        ours = set()
        for minimal in (True, False):
            for significant in (True, False):
                rows = asked(flavour=flavour, minimal_response=minimal,
                             significant_changes_only=significant)  # fmt: skip
                ours |= {tuple(row) for row in rows}
        assert ours <= shapes


@given(st.integers(1_000_000_000_000_000, 2_147_000_000_000_000), st.sampled_from([OLD, NEW]))
def test_times_survive(us: int, flavour: Flavour):
    """round(lu * 1e6) is the microsecond that the live event had."""
    question = Question("", ["a.b"], significant_changes_only=False)
    rows: list[Row] = [(us, us - 5, b'"1"', HEAD, 1)]
    row = json.loads(answer_for("a.b", rows, question, (us - 1, us + 1), flavour)[0])
    assert (round(row["lu"] * 1e6), round(row["lc"] * 1e6)) == (us, us - 5)


def test_rings_are_bounded_and_absent_entities_too():
    """Each entity keeps its share of the rows; one without rows is not in the answer."""
    history = History(rows=100, entities=2)
    ring = history.ring("sensor.x")
    for at in range(200):
        ring.append((T + at, T + at, b'"1"', HEAD, at))
    question = Question("", ["sensor.x", "sensor.x", "sensor.y"], include_start_time_state=False)
    answer = msgspec.json.decode(history.answer(question, (T, T + 1_000), NEW))
    assert {name: len(rows) for name, rows in answer.items()} == {"sensor.x": 50}


def test_times_without_a_zone_are_local():
    """The home's zone is meant where none is said; what is no time is None."""
    vienna = ZoneInfo("Europe/Vienna")
    assert microseconds_of("2026-11-20T16:52:37", vienna) == T
    assert microseconds_of("2026-11-20T15:52:37Z", vienna) == T
    assert microseconds_of("2026-11-20T15:52:37.000001+00:00", vienna) == T + 1
    assert microseconds_of("yesterday", vienna) is None


def test_entity_ids():
    """An entity id has one dot and small letters."""
    assert is_entity_id("sensor.a_1")
    for wrong in ("nodots", "Sensor.a", "sensor._a", "sensor.a__b", "a.b.c", ""):
        assert not is_entity_id(wrong)


def test_the_recorder_commits_late():
    """Rows become visible at each multiple of the commit interval."""
    assert visible_until(T + 7_000_000, 5) == T + 7_000_000 - (T + 7_000_000) % 5_000_000
    assert visible_until(T + 7, 0) == T + 7

import json
import sqlite3
from contextlib import closing

import pytest

from tests.faults.account import Account

T = 1_795_258_377_000_000


class Told:
    """An oracle's file and a sink's, to be written by a test."""

    def __init__(self, folder):
        self.oracle, self.sink = folder / "oracle", folder / "points.db"
        self.oracle.touch()
        with closing(sqlite3.connect(self.sink)) as db:
            db.execute(
                "CREATE TABLE log (number INTEGER PRIMARY KEY, measurement TEXT, tags TEXT,"
                " time INTEGER, fields TEXT)"
            )
        self.account = Account(self.oracle, self.sink, lambda name: name.startswith("sun."))

    def happens(self, n, state="1", entity_id="sensor.a", fate="sent"):
        with self.oracle.open("a") as file:
            file.write(f"{n}\t{T + n}\t{entity_id}\t{fate}\t{json.dumps(state)}\n")

    def written(self, n, entity_id="sensor.a", area="Bad", measurement="sensor", **fields):
        row = (measurement, json.dumps({"entity_id": entity_id, "area": area}), (T + n) * 1000)
        with closing(sqlite3.connect(self.sink)) as db, db:
            db.execute(
                "INSERT INTO log (measurement, tags, time, fields) VALUES (?, ?, ?, ?)",
                (*row, json.dumps(fields or {"available": True, "value": 1.0})),
            )

    def broken(self, dead=frozenset()):
        self.account.read_on()
        return sorted(name.split()[0] for name in self.account.faults(set(dead)))


@pytest.fixture
def told(tmp_path):
    return Told(tmp_path)


def test_what_was_sent_and_stands_is_well(told):
    """A change that was sent and stands with its value breaks nothing, however often written."""
    told.happens(1)
    told.happens(2, "off", "switch.b", "history")
    told.written(1)
    told.written(1)
    assert told.broken() == []
    assert told.account.repeated == 1


def test_a_missing_change_is_lost_unless_it_is_dead(told):
    """What was sent must stand in the sink or in the dead letters."""
    told.happens(1)
    assert told.broken() == ["I1"]
    assert told.broken({(T + 1, "sensor.a")}) == []
    told.written(1)
    assert told.broken({(T + 1, "sensor.a")}) == ["I10"]


def test_what_was_taken_out_of_a_queue_is_not_owed(told):
    """A change that the home could not tell anybody is not lost by us."""
    told.happens(1)
    told.happens(2)
    told.written(2)
    told.oracle.write_text(told.oracle.read_text() + "!\t1\t1\n")
    assert told.broken() == []


@pytest.mark.parametrize("line", ["2\t3", "2\t17952583\tsensor.a\tsent\t"])
def test_a_line_that_is_being_written_is_read_later(told, line):
    """Half a line at the end of the oracle's file is left for the next time."""
    told.happens(1)
    told.written(1)
    with told.oracle.open("a") as file:
        file.write(line)
    assert told.broken() == []


def test_what_never_happened_must_not_stand(told):
    """Neither a point nor a dead letter may name a change that the oracle does not know."""
    told.written(5)
    assert told.broken() == ["I2"]
    assert told.broken({(T + 6, "sensor.a")}) == ["I2"]


def test_one_change_is_one_point(told):
    """The same change in two series is a double."""
    told.happens(1)
    told.written(1)
    told.written(1, area="none")
    assert told.broken() == ["I3", "I4"]


def test_one_entity_is_one_series(told):
    """A point with other tags than the entity's other points is wrong, though it stands once."""
    told.happens(1)
    told.happens(2)
    told.written(1)
    told.written(2, area="none")
    assert told.broken() == ["I4"]
    told.account.strangers.add((T, "sensor.a"))
    assert told.broken() == []


def test_a_removal_may_stand_in_a_series_of_its_own(told):
    """Of what is gone no name is known."""
    told.happens(1)
    told.happens(2, None)
    told.written(1)
    told.written(2, area="none", available=False)
    assert told.broken() == []


@pytest.mark.parametrize(
    ("state", "fields"),
    [
        ("1", {"available": True, "value": 2.0}),
        ("1", {"available": True}),
        ("on the way", {"available": True, "state": "here"}),
        ("unavailable", {"available": False, "value": 1.0}),
        ("unavailable", {"available": True}),
        (None, {"available": True, "value": 1.0}),
    ],
)
def test_a_wrong_value_is_seen(told, state, fields):
    """A point must say what the change said."""
    told.happens(1, state)
    told.written(1, **fields)
    assert told.broken() == ["I4"]


def test_a_wrong_measurement_is_seen(told):
    """A point stands in the measurement of its domain."""
    told.happens(1)
    told.written(1, measurement="light")
    assert told.broken() == ["I4"]


def test_what_a_rule_leaves_out_must_not_stand(told):
    """A filtered change is not owed, and may not be stored."""
    told.happens(1, "above_horizon", "sun.sun")
    assert told.broken() == []
    told.written(1, "sun.sun", measurement="sun", available=True, state="above_horizon")
    assert told.broken() == ["I10"]


def test_history_is_owed_where_it_is_to_be_fetched(told):
    """With history owed, a change that nobody was told of must stand, too."""
    told.account._with_history = lambda name: name != "sensor.unrecorded"
    told.happens(1, fate="history")
    told.happens(2, entity_id="sensor.unrecorded", fate="history")
    assert told.broken() == ["I1"]
    told.written(1)
    assert told.broken() == []

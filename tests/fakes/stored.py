"""What stands in the sink that is a file, beside what a simulated home says it did."""

import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

from common.event import STATE_CHANGED, microseconds
from ingest.batch import events_in
from ingest.simulator.oracle import read_oracle

Key = tuple[int, str]
"""Microseconds since 1970, entity id."""


def stored_rows(path: Path, event_type: str = STATE_CHANGED) -> list[tuple[Key, str | None]]:
    """Key and state text of each stored event of a type."""
    if not path.exists():
        return []
    with closing(sqlite3.connect(path)) as db:
        try:
            rows = db.execute(
                "SELECT time, entity_id, state FROM events WHERE event_type = ?", (event_type,)
            ).fetchall()
        except sqlite3.OperationalError:  # the worker has not made the table yet
            return []
    return [((microseconds(time), entity_id), state) for time, entity_id, state in rows]


def missing(oracle: Path, sink: Path) -> set[Key]:
    """Changes that were sent to us and are not stored."""
    stored = {key for key, _ in stored_rows(sink)}
    sent = {(change.us, change.entity_id) for change in read_oracle(oracle) if change.sent}
    return sent - stored


def spooled_and_not_stored(spool: Path, sink: Path) -> set[str]:
    """Ids of events that stand in the spool and not in the sink."""
    with closing(sqlite3.connect(spool)) as db:
        batches = db.execute("SELECT events FROM batch")
        spooled = {event.id for (events,) in batches for event in events_in(events)}
    with closing(sqlite3.connect(sink)) as db:
        return spooled - {one for (one,) in db.execute("SELECT id FROM events")}


def assert_each_once(oracle: Path, sink: Path) -> int:
    """Check that the sink holds each change that was sent, once, and nothing that never was.

    Returns:
        How many changes were sent.
    """
    changes = {(change.us, change.entity_id): change for change in read_oracle(oracle)}
    rows = stored_rows(sink)
    times = Counter(key for key, _ in rows)
    assert set(times.values()) <= {1}
    assert not set(times) - set(changes), "stored what never happened"
    assert not missing(oracle, sink)
    for key, state in rows:
        assert state == changes[key].state, key
    return sum(change.sent for change in changes.values())

"""What real Home Assistants said, through the whole pipeline, into the sink that is a file."""

import asyncio
import json
import math
import re
import sqlite3
from collections import Counter
from contextlib import closing, suppress
from datetime import UTC, datetime

import pytest

from common.bus import connect
from common.ledger import read_ledger
from common.lifecycle import Stopped
from enrich import __main__ as enrich_room
from enrich.config import Settings as EnrichSettings
from ingest import __main__ as ingest_room
from ingest.config import Settings as IngestSettings
from store import __main__ as store_room
from store.config import Settings as StoreSettings
from tests.fakes.recorded_home import RecordedHome
from tests.fakes.recordings import frames
from tests.fakes.until import until

pytestmark = pytest.mark.integration

ONE, ZERO = (
    {"on", "open", "home", "locked", "above_horizon", "true", "True"},
    {"off", "closed", "not_home", "unlocked", "below_horizon", "false", "False"},
)
SILENT = {"unavailable", "unknown", ""}
NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*", re.ASCII)
SECRET = re.compile(r'"access_token":\s*"([^"]+)"')


def instant(text):
    """A time, whatever zone and precision it is written in."""
    return datetime.fromisoformat(text).astimezone(UTC)


def value_of(state):
    """What a state says as a number."""
    if state in ONE | ZERO:
        return float(state in ONE)
    if NUMBER.fullmatch(state) and math.isfinite(float(state)):
        return float(state)
    return None


def clean(value):
    """Without what may open a door: that has tests of its own."""
    if isinstance(value, dict):
        return {
            name: clean(inner)
            for name, inner in value.items()
            if name not in {"access_token", "entity_picture", "code"}
        }
    return [clean(inner) for inner in value] if isinstance(value, list) else value


def of_state(entity_id, new, fired):
    """Key of a state change, and what must stand in the sink."""
    state = new and (new["state"] or None)
    told = {
        "state": state,
        "value": value_of(new["state"]) if new else None,
        "available": bool(new) and new["state"] not in SILENT,
        "data": clean(new["attributes"]) if new else {},
    }
    when = new["last_updated"] if new else fired
    return ("state_changed", entity_id, instant(when)), told


def of_event(event):
    """Key of an event, and what must stand in the sink."""
    kind, data, fired = event["event_type"], event["data"], event["time_fired"]
    entity_id = data.get("entity_id")
    if kind == "state_changed":
        return of_state(entity_id, data["new_state"], fired)
    told = {"state": None, "value": None, "available": None, "data": clean(data)}
    return (kind, entity_id if isinstance(entity_id, str) else "", instant(fired)), told


def recorded(version, name, connection):
    """Every event that Home Assistant sent: key → what must stand in the sink."""
    found = {}
    for frame in frames(version, name):
        if frame["dir"] == "recv" and connection in {None, frame["conn"]}:
            told = json.loads(frame["text"])
            for message in told if isinstance(told, list) else [told]:
                if message["type"] == "event" and "event_type" in message["event"]:
                    key, told_of_it = of_event(message["event"])
                    assert found.setdefault(key, told_of_it) == told_of_it, key
    return found


def stored(path):
    """Key and columns of every row of the sink, and all that was written as text."""
    with closing(sqlite3.connect(path)) as db:
        rows = db.execute(
            "SELECT event_type, entity_id, time, state, value, available, data FROM events"
        ).fetchall()
    found = []
    for kind, entity_id, time, state, value, available, data in rows:
        told = {
            "state": state,
            "value": value,
            "available": None if available is None else bool(available),
            "data": clean(json.loads(data)["attributes"]),
        }
        found.append(((kind, entity_id, instant(time)), told))
    return found, "\n".join(row[-1] for row in rows)


async def played(home, redis_url, folder, count):
    """Let the three workers hear all of it, until so many are stored; return the ledger."""
    sink = folder / "events.db"
    stop = asyncio.Event()
    shared = {"redis_url": redis_url, "worker_name": "test"}
    ingest = IngestSettings(
        **shared,
        ha_websocket_url=home.url,
        ha_access_token=home.token,
        ha_event_types="*",
        ingest_spool_path=folder / "spool.db",
    )
    store = StoreSettings(**shared, store_sink="sqlite", store_sqlite_path=sink)

    async def ending(worker):
        with suppress(Stopped):
            await worker

    async with connect(redis_url) as bus, asyncio.TaskGroup() as workers:
        for worker in (
            ingest_room.main(ingest, stop),
            enrich_room.main(EnrichSettings(**shared), stop),
            store_room.main(store, stop),
        ):
            workers.create_task(ending(worker))

        async def idle():
            ledger = await read_ledger(bus)
            return home.is_over and ledger.stored >= count and ledger.in_flight == 0

        try:
            await until(idle, within_s=20, what="that all is stored")
        finally:
            stop.set()
    async with connect(redis_url) as bus:
        return await read_ledger(bus)


@pytest.mark.parametrize(
    ("version", "name", "connection", "least"),
    [
        ("2024.3.3", "b_events_plain", None, 5444),
        ("2024.3.3", "c_events_coalesce", None, 5436),
        ("2024.3.3", "c_burst_2000ps", "plain", 604),
        ("2024.3.3", "c_burst_2000ps", "coalesce", 604),
        ("2024.3.3", "a_auth_states_registries", None, 53),
        ("2024.3.3", "e_errors", None, 12),
        ("2026.2.3", "a_auth_states_registries", None, 55),
        ("2026.2.3", "e_errors", None, 9),
    ],
)
async def test_each_recorded_event_is_stored_once_and_right(  # noqa: PLR0913, PLR0917 - a case
    redis_url, tmp_path, version, name, connection, least
):
    """What a real home sent stands in the sink once, with its state, value, time and attributes."""
    expected = recorded(version, name, connection)
    assert len(expected) == least
    async with RecordedHome(version, name, connection) as home:
        expected |= dict(of_state(s["entity_id"], s, None) for s in home.states)
        ledger = await played(home, redis_url, tmp_path, len(expected))
    rows, text = stored(tmp_path / "events.db")
    times = Counter(key for key, _ in rows)
    assert set(times.values()) == {1}
    assert times.keys() - expected.keys() == set(), "stored what nobody sent"
    assert expected.keys() - times.keys() == set(), "lost"
    assert [(key, told) for key, told in rows if told != expected[key]] == []
    assert (ledger.unaccounted, ledger.dead, ledger.buried, ledger.lost) == (0, 0, 0, 0), ledger
    assert (ledger.filtered, ledger.stored) == (0, len(rows)), ledger
    assert ledger.captured == ledger.stored + ledger.duplicates
    secrets = {
        secret
        for frame in frames(version, name)
        for secret in SECRET.findall(str(frame.get("text")))
        if not secret.startswith("REDACTED")
    }
    assert not [secret for secret in secrets if secret in text]

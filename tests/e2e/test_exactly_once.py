"""Each change of a real Home Assistant stands in the sink exactly once."""

from collections import Counter
from uuid import uuid4

import pytest

from common.bus import connect
from common.event import microseconds, normal_time
from common.ledger import read_ledger
from tests.fakes.home_assistant import Listener, RealHome, key_of
from tests.fakes.influxdb_server import InfluxDBServer
from tests.fakes.stored import stored_rows
from tests.fakes.until import until
from tests.fakes.worker_process import WorkerProcesses

pytestmark = pytest.mark.e2e

STAGES = ("ingest", "enrich", "store")
END = "sensor.the_end"


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    with RealHome(tmp_path_factory.mktemp("home_assistant")) as real:
        yield real


@pytest.fixture
def workers(home, redis_url, tmp_path):
    return WorkerProcesses(
        tmp_path, REDIS_URL=redis_url, HA_WEBSOCKET_URL=home.url, HA_ACCESS_TOKEN=home.token
    )


async def drive(home, listener):
    """Let things change in every way that a person or a device can; return when it is over."""
    begin = len(listener.events)
    nonce = f"日本語 {uuid4()}"
    kitchen = {"unit_of_measurement": "°C", "friendly_name": "Küche", "device_class": "temperature"}
    await home.set_state("sensor.driven", "20.5", kitchen)
    await home.set_state("sensor.driven", "20.5", {**kitchen, "battery": 80})
    await home.set_state("sensor.driven", "unavailable", kitchen)
    await home.set_state("sensor.driven", "unknown", kitchen)
    await home.set_state("sensor.driven", "21", kitchen)
    await home.set_state("sensor.words", 'Grüße aus der Küche 🌡 = \\, "x"', {"note": nonce})
    await home.set_state("light.driven", "on", {"brightness": 128})
    await home.set_state("light.driven", "off")
    await home.set_state("sensor.gone", "1")
    await home.remove("sensor.gone")
    await home.set_state("sensor.gone", "2")
    for n in range(200):
        await home.set_state(f"sensor.many_{n % 7}", str(n), {"n": n})
    await home.set_state(END, nonce)
    await until(lambda: nonce in listener.states_of(END), what="the last change")
    fired = listener.events[begin:]
    assert len(fired) >= 211
    return fired


async def settled(bus):
    """Wait until nothing is in flight; the ledger must balance."""

    async def idle():
        ledger = await read_ledger(bus)
        return ledger.captured and ledger.in_flight == 0

    await until(idle, within_s=30)
    return await read_ledger(bus)


async def test_every_change_stands_in_the_file_exactly_once(home, redis_url, workers):
    """Each `state_changed` that was fired is in the SQLite sink once, and the ledger balances."""
    async with Listener(home) as listener, connect(redis_url) as bus:
        async with workers.start(*STAGES):
            await until(lambda: stored_rows(workers.sink), within_s=30, what="the snapshot")
            fired = await drive(home, listener)
            keys = {key_of(event) for event in fired}

            def all_there():
                return keys <= {key for key, _ in stored_rows(workers.sink)}

            await until(all_there, within_s=30, what="that all is stored")
            assert (await settled(bus)).unaccounted == 0
        ledger = await settled(bus)
    rows = stored_rows(workers.sink)
    times = Counter(key for key, _ in rows)
    assert {times[key] for key in keys} == {1}
    assert len(keys) == len(fired)
    states = dict(rows)
    for event in fired:
        new = event["data"]["new_state"]
        assert states[key_of(event)] == (new and new["state"])
    assert (ledger.unaccounted, ledger.dead, ledger.lost) == (0, 0, 0)
    assert ledger.stored == len(rows)


async def test_every_change_stands_in_influxdb_exactly_once(home, redis_url, tmp_path):
    """Each `state_changed` that was fired is one point in a real InfluxDB, with its values."""
    async with (
        InfluxDBServer(tmp_path) as influxdb,
        Listener(home) as listener,
        connect(redis_url) as bus,
    ):
        workers = WorkerProcesses(
            tmp_path,
            REDIS_URL=redis_url,
            HA_WEBSOCKET_URL=home.url,
            HA_ACCESS_TOKEN=home.token,
            STORE_SINK="influxdb",
            INFLUXDB_URL=influxdb.url,
            INFLUXDB_TOKEN="of-no-meaning-to-1.6",
        )

        async def points():
            rows = await influxdb.ask("SELECT * FROM /.*/")
            return [
                ((microseconds(normal_time(str(row["time"]))), str(row["entity_id"])), row)
                for row in rows
            ]

        async with workers.start(*STAGES):
            await until(points, within_s=30, what="the snapshot")
            fired = await drive(home, listener)
            keys = {key_of(event) for event in fired}

            async def all_there():
                return keys <= {key for key, _ in await points()}

            await until(all_there, within_s=30, what="that all is stored")
            assert (await settled(bus)).unaccounted == 0
        ledger = await settled(bus)
        found = await points()
    times = Counter(key for key, _ in found)
    assert {times[key] for key in keys} == {1}
    assert ledger.stored == len(found)
    assert (ledger.unaccounted, ledger.dead, ledger.lost) == (0, 0, 0)
    rows = dict(found)
    for event in fired:
        assert_point(rows[key_of(event)], event)


def assert_point(row, event):
    """Check a point's measurement, availability, value and state against what was fired."""
    new = event["data"]["new_state"]
    assert row["name"] == event["data"]["entity_id"].partition(".")[0]
    available = new is not None and new["state"] not in {"unavailable", "unknown"}
    assert row["available"] is available
    if not available:
        assert row.get("value") is None
        return
    try:
        number = float(new["state"])
    except ValueError:
        assert row["state"] == new["state"]
    else:
        assert row["value"] == number

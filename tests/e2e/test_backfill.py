"""While ingest is down nothing is lost that a real Home Assistant's recorder keeps."""

import asyncio
import os
import time
from collections import Counter

import pytest

from common.bus import Keys, connect
from common.event import GAP
from common.ledger import read_ledger
from tests.fakes.home_assistant import Listener, RealHome, key_of
from tests.fakes.stored import stored_rows
from tests.fakes.until import until
from tests.fakes.worker_process import WorkerProcesses

pytestmark = pytest.mark.e2e

OUTAGE_S = float(os.environ.get("HABUS_OUTAGE_S", "30"))
"""Seconds for which ingest is down; 600 is the bar of the README."""

BACK_WITHIN_S = 60.0
"""Seconds after its start in which everything must be in the sink."""

CHANGES_PER_S = 20
UNRECORDED = "sensor.not_recorded"


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    with RealHome(tmp_path_factory.mktemp("home_assistant")) as real:
        yield real


async def keep_changing(home, seconds):
    """Let states change, `CHANGES_PER_S` a second beside what changes by itself."""
    end, n = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        due = time.monotonic() + 1
        await home.set_state(UNRECORDED, str(n))
        await home.set_state("sensor.comes_and_goes", str(n), {"unit_of_measurement": "W"})
        for each in range(CHANGES_PER_S - 4):
            n += 1
            await home.set_state(f"sensor.driven_{each}", str(n), {"n": n, "friendly_name": "Ö"})
        await home.set_state("light.driven", "off", {"brightness": n})  # attributes alone
        await home.remove("sensor.comes_and_goes")
        await asyncio.sleep(max(0.0, due - time.monotonic()))


async def test_what_happened_while_ingest_was_down_stands_in_the_sink(home, redis_url, tmp_path):
    """Each recorded change is stored once, in time; the one unrecorded entity is the gap."""
    workers = WorkerProcesses(
        tmp_path,
        REDIS_URL=redis_url,
        HA_WEBSOCKET_URL=home.url,
        HA_ACCESS_TOKEN=home.token,
        HA_BACKFILL_HOURS="0",
    )
    async with (
        Listener(home) as listener,
        connect(redis_url) as bus,
        workers.start("ingest", "enrich", "store"),
    ):
        await until(lambda: stored_rows(workers.sink), within_s=30, what="the snapshot")
        before = len(listener.events)
        await keep_changing(home, 3)
        heard = {key_of(event) for event in listener.events[before:]}

        def is_stored(keys):
            return keys <= {key for key, _ in stored_rows(workers.sink)}

        await until(lambda: is_stored(heard), within_s=30, what="the live events")
        workers.kill("ingest")
        down = len(listener.events)
        await keep_changing(home, OUTAGE_S)
        missed = [
            event for event in listener.events[down:] if event["data"]["entity_id"] != UNRECORDED
        ]
        wanted = {key_of(event) for event in missed}
        assert len(wanted) == len(missed) > OUTAGE_S * CHANGES_PER_S * 0.5
        began = time.monotonic()
        workers.start("ingest")
        try:
            await until(lambda: is_stored(wanted), within_s=BACK_WITHIN_S)
        except AssertionError:
            lost = sorted(wanted - {key for key, _ in stored_rows(workers.sink)})
            pytest.fail(f"{len(lost)} of {len(wanted)} changes are missing: {lost[:20]}")
        took_s = time.monotonic() - began
        what = f"{len(wanted)} changes of {OUTAGE_S:g} s"
        print(f"Home Assistant {home.version}: {what} in the sink after {took_s:.1f} s")  # noqa: T201 - the figure

        await until(lambda: stored_rows(workers.sink, GAP), within_s=90, what="the gap")

        async def is_idle():
            return (await read_ledger(bus)).in_flight == 0

        await until(is_idle, within_s=30)
        gaps = await bus.read_field(Keys().watermark, "gaps")
        ledger = await read_ledger(bus)
    assert f'"entities":["{UNRECORDED}"]'.encode() in gaps
    assert b'"reason":"not_recorded"' in gaps
    assert len(stored_rows(workers.sink, GAP)) == 1
    rows = stored_rows(workers.sink)
    assert set(Counter(key for key, _ in rows).values()) == {1}
    fired = {key_of(event): event["data"]["new_state"] for event in listener.events}
    states = dict(rows)
    for key in wanted:
        assert states[key] == (fired[key] and fired[key]["state"]), key
    first = min(fired)[0]
    assert {key for key in states if key[0] > first} <= set(fired)
    assert (ledger.unaccounted, ledger.dead, ledger.lost) == (0, 0, 0)

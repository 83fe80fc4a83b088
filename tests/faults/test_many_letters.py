"""Very many dead letters: looking at them is quick, and all are replayed once."""

import asyncio
import os
import sys
import time
from contextlib import suppress
from statistics import median

import httpx
import pytest

from common.bus import connect
from common.ledger import read_ledger
from tests.fakes.servers import free_port
from tests.fakes.until import until
from tests.fakes.worker_process import WorkerProcesses
from tests.faults.letters import fall

pytestmark = pytest.mark.faults

LETTERS = int(os.environ.get("ATTACK_LETTERS", "5000"))
"""How many; the bar's are 100,000."""

JOBS = 8
"""Replays of all letters at the same time."""

RARE = 3
"""Letters of an entity that the rare filter finds."""

QUESTIONS = {
    "first page": "dead-letters",
    "rare filter": "dead-letters?entity_id=sensor.rare",
    "groups": "dead-letters/groups",
}
MOST_S = 0.2 if LETTERS >= 100_000 else 5.0
"""Seconds of a first page; where much runs besides, only that it comes."""

TOKEN = "canary-of-many-letters"


async def pinged(bus, times, stop):
    """Ask Redis again and again how it is; take down the seconds of each answer."""
    while not stop.is_set():
        began = time.perf_counter()
        await bus.command("PING")
        times.append(time.perf_counter() - began)
        await asyncio.sleep(0.005)


async def looked_at(client):
    """Ask each question several times; the seconds of the first answer, and the median."""
    seconds = {}
    for name, path in QUESTIONS.items():
        times = []
        for _ in range(11):
            began = time.perf_counter()
            answer = await client.get(path)
            times.append(time.perf_counter() - began)
            assert answer.status_code == 200, answer.text
            assert answer.json()["total"] == LETTERS
        seconds[f"{name}, first time"], seconds[name] = times[0], median(times)
    return seconds


async def test_many_letters_are_seen_at_once_and_replayed_once(tmp_path, redis_url):
    """First page, rare filter and groups are quick; eight replays of all and a killed admin put
    each letter back exactly once, and Redis goes on to answer.
    """
    port = free_port()
    admin = WorkerProcesses(tmp_path, REDIS_URL=redis_url, ADMIN_PORT=str(port), ADMIN_TOKEN=TOKEN)
    url = f"http://127.0.0.1:{port}/api/v1/"
    async with (
        httpx.AsyncClient(
            base_url=url, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=60
        ) as client,
        connect(redis_url) as bus,
    ):

        async def asked(method, path, **body):
            with suppress(httpx.TransportError):
                return await client.request(method, path, **body)

        await fall(bus, LETTERS - RARE)
        await fall(bus, RARE, first=LETTERS - RARE, entity_id="sensor.rare", stage="store")
        admin.start("admin")
        await until(lambda: asked("GET", "ledger"), 60, "admin")
        seconds = await looked_at(client)
        pings, stop = [], asyncio.Event()
        pinging = asyncio.create_task(pinged(bus, pings, stop))
        began = time.perf_counter()
        all_of_them = {"json": {"expected_count": LETTERS}}
        started = await asyncio.gather(
            *(client.post("dead-letters/replay", **all_of_them) for _ in range(JOBS))
        )
        # Whoever comes when some are gone already hears how many are left.
        jobs = [one.json()["job"] for one in started if one.status_code == 202]
        assert {one.status_code for one in started} <= {202, 409}
        assert jobs

        async def back():
            lengths = await bus.commands(("XLEN", "ha:inbox"), ("XLEN", "ha:enriched"))
            return sum(lengths)

        async def a_part():
            return await back() > LETTERS / 10

        await until(a_part, 60, "a part of the letters")
        admin.kill("admin")
        in_the_middle = await back()
        assert LETTERS / 10 < in_the_middle < LETTERS
        admin.start("admin")

        async def all_done():
            answers = [await asked("GET", f"replays/{job}") for job in jobs]
            return all(one and one.json()["state"] == "done" for one in answers)

        await until(all_done, 240, "the end of all jobs")
        took_s = time.perf_counter() - began
        stop.set()
        await pinging
        replayed = sum([(await client.get(f"replays/{job}")).json()["replayed"] for job in jobs])
        ledger = await read_ledger(bus)
        ids = [
            fields[b"id"].decode()
            for key in ("ha:inbox", "ha:enriched")
            for _, fields in await bus.command("XRANGE", key, "-", "+")
        ]
        assert await admin.stop() == {"admin": 0}
    p99_ms = sorted(pings)[int(len(pings) * 0.99)] * 1000
    told = ", ".join(f"{name} {each * 1000:.0f} ms" for name, each in seconds.items())
    sys.stderr.write(
        f"{LETTERS} letters: {told}; {len(jobs)} replays at once took {took_s:.1f} s, admin killed"
        f" at {in_the_middle}; PING p99 {p99_ms:.1f} ms, at most {max(pings) * 1000:.0f} ms\n"
    )
    assert len(ids) == LETTERS
    assert set(ids) == {f"event-{n}" for n in range(LETTERS)}
    assert replayed == LETTERS
    assert (ledger.replayed, ledger.dead, ledger.unaccounted) == (LETTERS, 0, 0)
    assert all(each < MOST_S for name, each in seconds.items() if "first time" not in name), told

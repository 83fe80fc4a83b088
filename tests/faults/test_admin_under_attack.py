"""Admin is attacked while events flow: nothing is lost, and it serves again at once."""

import asyncio
import json
import os
import re
import sys
import time
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from common.bus import DeadLetters, Filter
from tests.fakes.until import until
from tests.faults.child import Child
from tests.faults.fault import fault, params_of
from tests.faults.letters import fall
from tests.faults.pipeline import Setup

pytestmark = [pytest.mark.faults, pytest.mark.asyncio(loop_scope="module")]

SECONDS = float(os.environ.get("ATTACK_S", "6"))
"""How long each attack lasts; the bar's are 60."""

LETTERS = int(os.environ.get("ATTACK_LETTERS", "5000"))
"""Dead letters that are there under the worst use; the bar's are 100,000."""

MOST_LAG_S = 5.0 if SECONDS >= 60 else 30.0
"""Seconds between an event and its point; where much runs besides, only that it goes on."""

MOST_MEMORY_MB = 200 if "COVERAGE_PROCESS_CONFIG" in os.environ else 150
"""Of admin, at its peak; to be measured takes some more."""

MOST_WAIT_S = 15.0
"""Seconds without an answer for an owner who tries again while all places are being taken."""

ATTACKED = Setup(workers=("ingest", "enrich", "store", "admin"))


def port_of(pipeline):
    """Where admin listens; 0 while it does not."""
    said = re.findall(r"http://127\.0\.0\.1:(\d+)", pipeline.workers["admin"].log.read_text())
    return int(said[-1]) if said else 0


async def asked(pipeline, path, method="GET", body=None, timeout_s=30.0):
    """Ask admin as its owner does; status and answer."""
    url = f"http://127.0.0.1:{port_of(pipeline)}{path}"
    headers = {"Authorization": f"Bearer {pipeline.secrets['ADMIN_TOKEN']}"}
    if body is not None:
        headers["Content-Type"] = "application/json"
        body = json.dumps(body).encode()
    request = Request(url, body, headers, method=method)

    def fetched():
        try:
            with urlopen(request, timeout=timeout_s) as reply:  # noqa: S310 - our own server
                return reply.status, reply.read()
        except HTTPError as error:
            return error.code, error.read()

    return await asyncio.to_thread(fetched)


def peak_mb(worker):
    """The most resident memory that a worker ever had."""
    status = Path(f"/proc/{worker.pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1024


async def lag_s(pipeline):
    """Age of the oldest event that is owed, and does not stand in the sink yet."""
    await pipeline.stored()
    waiting = [us for us, _ in pipeline.account.missing]
    return time.time() - min(waiting) / 1e6 if waiting else 0.0


class Owner:
    """Asks again and again while others attack; who is turned away tries again, as they do.

    Attributes:
        waited_s: The longest time without an answer.
    """

    def __init__(self, pipeline):
        self._pipeline = pipeline
        self._answers = self._refusals = 0
        self._since = time.monotonic()
        self.waited_s = 0.0

    async def asks(self):
        """Ask once."""
        try:
            status, _ = await asked(self._pipeline, "/api/v1/ledger")
        except OSError:
            status = 0
        now = time.monotonic()
        self.waited_s = max(self.waited_s, now - self._since)
        if status == 200:
            self._since = now
        self._answers += status == 200
        self._refusals += status != 200

    def told(self):
        """What came of it, in words."""
        return (
            f"its owner was answered {self._answers} times meanwhile, turned away"
            f" {self._refusals} times, and waited {self.waited_s:.2f} s at most"
        )


async def attacked(pipeline, kind):
    """Attack admin and watch the pipeline meanwhile; what was sent, and the proof in words."""
    admin = pipeline.workers["admin"]
    await until(lambda: port_of(pipeline), 60, "admin to listen")
    log = admin.log.stat().st_size
    pids = {name: worker.pid for name, worker in pipeline.workers.items()}
    attacker = Child(
        f"attacker-{kind}",
        [
            *(sys.executable, "-m", "tests.fakes.attacker", kind, "--port", str(port_of(pipeline))),
            *("--token", pipeline.secrets["ADMIN_TOKEN"], "--seconds", str(SECONDS)),
        ],
        {**admin.environment, "PYTHONDONTWRITEBYTECODE": "1"},
        pipeline.folder,
    )
    attacker.start()
    lag = 0.0
    owner = Owner(pipeline)
    try:
        while attacker.runs:
            lag = max(lag, await lag_s(pipeline))
            await asyncio.sleep(0.1)
            if kind == "slow":
                await owner.asks()
        assert attacker.code == 0, attacker.last_words()
    finally:
        await attacker.end()
    began = time.monotonic()
    status, _ = await asked(pipeline, "/healthz")
    again_s = time.monotonic() - began
    assert status == 200
    assert (await asked(pipeline, "/api/v1/ledger"))[0] == 200
    said = json.loads(attacker.out.read_text().splitlines()[-1])
    peak = peak_mb(admin)
    proof = (
        f"{kind}: {said}, lag at most {lag:.2f} s, admin's peak {peak:.0f} MB,"
        f" serving again after {again_s:.3f} s"
    )
    if kind == "slow":
        proof += f", {owner.told()}"
    sys.stderr.write(proof + "\n")
    words = admin.log.read_bytes()[log:].decode(errors="replace")
    assert "Traceback" not in words, words[words.index("Traceback") - 500 :][:6000]
    assert len(words) < 100_000, f"{len(words)} bytes of log:\n{words[-2000:]}"
    assert {name: worker.pid for name, worker in pipeline.workers.items()} == pids
    assert all(worker.runs for worker in pipeline.workers.values())
    assert lag < MOST_LAG_S, proof
    assert peak < MOST_MEMORY_MB, proof
    assert owner.waited_s < MOST_WAIT_S, proof
    return said, proof


@fault("F71", "admin is flooded with requests of all kinds", ATTACKED)
async def flooded(pipeline):
    said, proof = await attacked(pipeline, "flood")
    assert said["sent"] > 200 * SECONDS / 6, said
    assert {"200", "400", "401", "404"} <= said["answers"].keys(), said
    return proof


@fault("F71b", "500 readers of live events do not read, and heads and bodies do not end", ATTACKED)
async def held_up(pipeline):
    said, proof = await attacked(pipeline, "slow")
    assert said["at_once"] > 500, said
    return proof


@fault("F71c", "bodies, heads and JSON without end are sent to admin", ATTACKED)
async def stuffed(pipeline):
    said, proof = await attacked(pipeline, "bodies")
    assert said["sent"] > 20, said
    assert {"400", "401"} <= said["answers"].keys(), said
    return proof


@fault("F71d", "exports, groups and pages of many dead letters at once, left half-way", ATTACKED)
async def worked_hard(pipeline):
    await fall(pipeline.bus, LETTERS)
    try:
        said, proof = await attacked(pipeline, "heavy")
    finally:
        letters = DeadLetters(pipeline.bus)
        gone = await letters.purge(await letters.ids(Filter(reason="seeded")))
        assert gone == LETTERS
    assert said["answers"].get("200", 0) > 20, said
    return proof


@pytest.mark.parametrize("fault", params_of(__name__))
async def test_survives(ground, fault):
    """Whatever is sent to admin, the pipeline goes on, and admin serves again at once."""
    await ground.survive(fault)

"""The whole pipeline as processes of this machine: simulator to receiver."""

import asyncio
import json
import os
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.request import urlopen

from common.bus import Keys, connect
from common.ledger import Ledger, read_ledger
from ingest.simulator.oracle import changes_in
from tests.bench.figures import Verdict, spent, verdict
from tests.bench.processes import Process, cpu_s, machine_cpu_s, memory_mb, wait_until
from tests.bench.receiver import Writes
from tests.fakes.redis_server import RedisServer
from tests.fakes.servers import free_port

ROOT = Path(__file__).parent.parent.parent
WORKERS = ("ingest", "enrich", "store")
QUIET_S = 1.5
"""Seconds without a write after which the start is over."""

STUCK_S = 45.0
"""Seconds without a write after which what is missing is missing.

Longer than ingest waits for the recorder to commit, before it looks again for what it missed.
"""


@dataclass(frozen=True)
class Sending:
    """One stretch of time at one rate.

    Attributes:
        span_us: When it began and ended, microseconds since 1970.
        seconds: How long.
        events: How many events were sent.
        backlog: How many of them were not stored yet when the last was sent.
        drained_s: Seconds from the last sent to the last stored.
        stored_per_s: Events a second that the receiver answered, from its first to its last.
        writes: How many requests the receiver answered.
        cpu_s: Seconds of CPU by process, until all were stored.
        others_cores: Cores that everything else on this machine used meanwhile.
    """

    span_us: tuple[int, int]
    seconds: float
    events: int
    backlog: int
    drained_s: float
    stored_per_s: float
    writes: int
    cpu_s: dict[str, float]
    others_cores: float

    def us_per_event(self) -> dict[str, float]:
        """Microseconds of CPU an event, which are seconds a million events, by process."""
        return {name: used / max(1, self.events) * 1e6 for name, used in self.cpu_s.items()}


class Pipeline:
    """Starts everything on free loopback ports; a context that ends it all.

    Args:
        folder: Empty; on a real disk.
        appendfsync: `everysec` or `always`.
        rate: For how many events a second the home shall have entities.
        command: What runs the workers in one process; empty: each in its own.
    """

    def __init__(
        self, folder: Path, *, appendfsync: str, rate: float, command: Sequence[str] = ()
    ) -> None:
        self._folder = folder
        self._rate = rate
        self._command = command
        self.redis = RedisServer(
            folder, appendonly="yes", appendfsync=appendfsync, auto_aof_rewrite_percentage="0"
        )
        self.processes: dict[str, Process] = {}
        self._open = ExitStack()
        self.writes = Writes(folder / "written")

    def __enter__(self) -> Self:
        with ExitStack() as opening:
            opening.enter_context(self.redis)
            self._start(opening)
            self._open = opening.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def _start(self, opening: ExitStack) -> None:
        def start(name: str, *command: str, **settings: str) -> Process:
            process = Process(name, [sys.executable, *command], plain | settings, self._folder)
            self.processes[name] = opening.enter_context(process)
            return process

        plain = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        plain |= {"PYTHONPATH": str(ROOT)}
        entities = str(max(300, int(self._rate / 20)))
        home = json.loads(
            start(
                "simulator",
                *("-m", "ingest.simulator", "--rate", "0", "--entities", entities),
                *("--waits-for-slow", "--oracle", str(self._folder / "oracle")),
            ).first_line()
        )
        self._home_url = home["http_url"]
        url = start("receiver", "-m", "tests.bench.receiver", "written").first_line()
        settings = {
            "HA_WEBSOCKET_URL": home["url"],
            "HA_ACCESS_TOKEN": home["token"],
            "REDIS_URL": self.redis.url,
            "INGEST_SPOOL_PATH": "spool.db",
            "INFLUXDB_URL": url,
            "INFLUXDB_TOKEN": "bench",
            "ADMIN_PORT": str(free_port()),
        }
        if self._command:
            start("habus", *self._command, **settings)
        for worker in () if self._command else WORKERS:
            start(worker, "-m", worker, **settings)
        wait_until(self._is_subscribed, 30, "ingest to subscribe")
        wait_until(self.writes.read_on, 30, "the first states in the receiver")
        self._wait_for_writes(None)

    def _is_subscribed(self) -> bool:
        for process in self.processes.values():
            process.check()
        return bool(self.home("status")["subscribed"])

    def home(self, control: str) -> Any:
        """Tell the simulator something; its answer."""
        url = f"{self._home_url}/simulator/{control}"
        with urlopen(url, timeout=60) as reply:  # noqa: S310 - our own server
            return json.load(reply)["result"]

    def pids(self) -> dict[str, int]:
        """Process ids by name."""
        own = {name: process.pid for name, process in self.processes.items()}
        return {**own, "redis": self.redis.pid}

    def cpu(self) -> dict[str, float]:
        """Seconds of CPU used so far, by process."""
        return {name: cpu_s(pid) for name, pid in self.pids().items()}

    def memory(self) -> dict[str, tuple[float, float]]:
        """MiB resident now and at most, by process."""
        return {name: memory_mb(pid) for name, pid in self.pids().items()}

    def idle(self, seconds: float) -> dict[str, float]:
        """Do nothing so long; percent of a core that each process used."""
        before = self.cpu()
        time.sleep(seconds)
        return spent(before, self.cpu(), seconds / 100)

    def send(self, rate: float, seconds: float) -> Sending:
        """Let the home live at a rate, and wait until everything is stored or stuck."""
        known, sent = self.writes.read_on(), self.home("status")["sent"]
        first_batch = len(self.writes.batches)
        before, machine_s, started_us = self.cpu(), machine_cpu_s(), time.time_ns() // 1000
        self.home(f"set_rate?rate={rate}")
        time.sleep(seconds)
        self.home("set_rate?rate=0")
        ended_ns = time.time_ns()
        wait_until(lambda: not self.home("status")["pending"], 60, "the simulator to send all")
        events = self.home("status")["sent"] - sent
        self._wait_for_writes(known + events)
        used, took_s = spent(before, self.cpu(), 1), time.time() - started_us / 1e6
        others_s = machine_cpu_s() - machine_s - sum(used.values())
        batches = self.writes.batches[first_batch:]
        last_ns = batches[-1][0] if batches else ended_ns
        return Sending(
            span_us=(started_us, ended_ns // 1000),
            seconds=(ended_ns // 1000 - started_us) / 1e6,
            events=events,
            backlog=events - sum(count for at_ns, count in batches if at_ns <= ended_ns),
            drained_s=max(0, last_ns - ended_ns) / 1e9,
            stored_per_s=_per_second(batches),
            writes=len(batches),
            cpu_s=used,
            others_cores=max(0.0, others_s / took_s),
        )

    def _wait_for_writes(self, count: int | None) -> None:
        """Until so many points were written, or none came for a while."""
        size, since = -1, time.monotonic()
        written = self._folder / "written"
        patience_s = QUIET_S if count is None else STUCK_S
        while time.monotonic() - since < patience_s:
            if written.stat().st_size != size:
                size, since = written.stat().st_size, time.monotonic()
            elif count is not None and self.writes.read_on() >= count:
                return
            time.sleep(0.05)
        self.writes.read_on()

    def happened(self) -> dict[int, bool]:
        """The oracle: time of each change in microseconds → whether it was sent."""
        changes = changes_in((self._folder / "oracle").read_bytes())
        return {change.us: change.sent for change in changes}

    def verdict(self) -> Verdict:
        """Whether everything that was sent is stored, once."""
        self.writes.read_on()
        return verdict(self.happened(), self.writes.times)

    def ledger(self) -> Ledger:
        """The pipeline's own count."""
        return asyncio.run(self._ledger())

    async def _ledger(self) -> Ledger:
        async with connect(self.redis.url, Keys()) as bus:
            return await read_ledger(bus)

    def warnings(self) -> list[str]:
        """What the workers complained about."""
        return [
            f"{name}: {line}"
            for name, process in self.processes.items()
            for line in process.warnings()
        ]


def _per_second(batches: list[tuple[int, int]]) -> float:
    """Points a second from the first to the last write."""
    if len(batches) <= 1:
        return 0.0
    (first_ns, first), (last_ns, _) = batches[0], batches[-1]
    return (sum(count for _, count in batches) - first) / ((last_ns - first_ns) / 1e9)

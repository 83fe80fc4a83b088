"""The whole pipeline as processes, a proxy on each of its links, and an account of every event."""

import asyncio
import json
import os
import sys
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from random import Random
from typing import Any, Self
from urllib.parse import urlencode
from urllib.request import Request, urlopen

from common.bus import Bus, Keys, connect
from common.errors import BusUnavailable
from common.heartbeat import read_pulses
from common.ledger import Ledger, read_ledger
from tests.fakes.redis_server import RedisServer
from tests.fakes.toxic_proxy import ToxicProxy
from tests.fakes.until import until
from tests.faults.account import Account, Gap, Key
from tests.faults.child import Child

ROOT = Path(__file__).resolve().parents[2]

HEALS_WITHIN_S = 60.0
"""Seconds after a fault's end within which everything must be settled (I6)."""

MOST_MEMORY_MB, MOST_FILES = 300, 100
"""Resident memory and open files that no worker may exceed (I5)."""

ALWAYS = (("appendonly", "yes"), ("appendfsync", "always"), ("auto-aof-rewrite-percentage", "0"))
EVERYSEC = (*ALWAYS[:1], ("appendfsync", "everysec"), *ALWAYS[2:])
NO_AOF = (("appendonly", "no"),)

CLOCKS = {
    "common.heartbeat.EVERY_S": 0.5,
    "common.heartbeat.EXPIRES_S": 3,
    "common.bus.left_behind.ABANDONED_AFTER_S": 3.0,
    "common.bus.consumer.LOOK_FOR_ABANDONED_S": 1.0,
    "common.bus.connection.ANSWER_TIMEOUT_S": 3.0,
    "common.bus.connection.CONNECT_TIMEOUT_S": 2.0,
    "common.bus.trim.EVERY_S": 2.0,
    "common.ledger.EVERY_S": 1.0,
    "common.logs.PERIOD_S": 0.0,
    "common.watchdog.HUNG_S": 2.0,
    "ingest.backfill.SETTLE_S": 2.0,
    "ingest.history.ANSWER_S": 5.0,
    "ingest.history.POLL_S": 0.2,
    "ingest.history.RETRY_S": 0.2,
    "ingest.missing.TOLD_EVERY_S": 1.0,
    "common.backoff.CAP_S": 5.0,
    "ingest.connection.PING_S": 2.0,
    "ingest.deliver.TRIM_EVERY_S": 2.0,
}
"""Clocks of waiting that are shortened, so that a test does not wait for minutes; seconds."""

SETTLE = "common.bus.consumer.Consumer.settle"
ENRICH = "enrich.worker.enrich"
POINT = "common.sink.influx.InfluxSink.point"
TRAPS = {
    "after_write": (SETTLE, "kill"),
    "poison": (ENRICH, "kill"),
    "endless": (ENRICH, "hang"),
    "memory": (ENRICH, "memory"),
    "poison_point": (POINT, "kill"),
}
"""Name of a trap → where it lies, and what it does to whoever comes by."""

FILTERED_DOMAIN = "sun"
"""A rule of the user leaves this domain out."""


@dataclass(frozen=True)
class Setup:
    """How a pipeline is put together; pipelines of the same setup are alike.

    Attributes:
        redis: Settings of Redis.
        workers: Their names; up to the first dash the room.
        settings: Environment variables of all workers beside the usual ones.
        home: Arguments of the simulated home beside the usual ones.
        influxdb: Arguments of the fake InfluxDB.
        owes_history: Whether what only Home Assistant's history knows must be stored too.
        meddled: Whether somebody deletes what was counted, so that the ledger counts it again.
        rate: Events a second.
    """

    redis: tuple[tuple[str, str], ...] = ALWAYS
    workers: tuple[str, ...] = ("ingest", "enrich", "store")
    settings: tuple[tuple[str, str], ...] = ()
    home: tuple[str, ...] = ()
    influxdb: tuple[str, ...] = ()
    owes_history: bool = False
    meddled: bool = False
    rate: float = 200.0


@dataclass
class Outcome:
    """What became of one fault.

    Attributes:
        fired: How we know that the fault really happened (I11).
        recovery_s: Seconds from the fault's end until all that had happened was settled.
        broken: Invariant → what breaks it; empty when the fault was survived.
    """

    fired: str = ""
    recovery_s: float = 0.0
    sent: int = 0
    lost: int = 0
    stored_twice: int = 0
    buried_wrongly: int = 0
    buried_rightly: int = 0
    repeated: int = 0
    broken: dict[str, list[str]] = field(default_factory=dict)


class Pipeline:
    """Simulated home, ingest, Redis, enrich, store and InfluxDB; a context that ends them all.

    Args:
        folder: Empty; takes every file.
        setup: How it is put together.
        seed: Of everything that looks random.

    Attributes:
        unreadable: Dead letters of messages that are no event, at the last look.
        links: Proxies by name: `home`, `influxdb`, and for each worker its way to Redis.
        workers: By name.
        dice: Draws moments and victims.
        expected_dead: Events that must be buried: each has a cause of its own.
    """

    def __init__(self, folder: Path, setup: Setup, seed: int) -> None:
        self.folder, self.setup, self.seed = folder, setup, seed
        self.dice = Random(seed)  # noqa: S311 - what can be repeated
        secret = f"{seed:08x}"
        self.secrets = {
            "HA_ACCESS_TOKEN": f"canary-home-{secret}",
            "INFLUXDB_TOKEN": f"canary-influxdb-{secret}",
            "ADMIN_TOKEN": f"canary-admin-{secret}",
            "redis": f"canary-redis-{secret}",
        }
        acl = folder / "users.acl"
        acl.write_text(
            "user default on nopass ~* &* +@all\n"
            f"user habus on >{self.secrets['redis']} ~* &* +@all\n"
        )
        self.redis = RedisServer(
            folder, aclfile=str(acl), **{k.replace("-", "_"): v for k, v in setup.redis}
        )
        self.workers: dict[str, Child] = {}
        self.links: dict[str, ToxicProxy] = {}
        self.expected_dead: set[Key] = set()
        self.unreadable = 0
        self._open = AsyncExitStack()
        self._read_bytes: dict[Path, int] = {}
        self.account = Account(
            folder / "oracle",
            folder / "points.db",
            lambda entity_id: (
                entity_id.startswith(FILTERED_DOMAIN + ".")
                or entity_id == dict(setup.settings).get("HA_EXCLUDE_ENTITIES")
            ),
            lambda entity_id: setup.owes_history and "unrecorded" not in entity_id,
        )

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as opening:
            await self._start(opening)
            self._open = opening.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._open.aclose()

    # Putting it together

    async def _start(self, opening: AsyncExitStack) -> None:
        opening.push_async_callback(asyncio.to_thread, self.redis.kill)
        redis = asyncio.create_task(asyncio.to_thread(self.redis.start, 30))
        self._simulator = self._child(
            opening,
            "simulator",
            *("-m", "ingest.simulator", "--rate", "0", "--entities", "120", "--commit-s", "1"),
            *("--seed", str(self.seed), "--token", self.secrets["HA_ACCESS_TOKEN"]),
            *("--oracle", str(self.folder / "oracle"), *self.setup.home),
        )
        self._influxdb = self._child(
            opening,
            "influxdb",
            *("-m", "tests.fakes.influxdb", "--file", str(self.folder / "points.db")),
            *("--token", self.secrets["INFLUXDB_TOKEN"], *self.setup.influxdb),
        )
        self._simulator.start()
        self._influxdb.start()
        await redis
        home = json.loads(await self._simulator.first_line())
        self._home_url = home["http_url"]
        self._influxdb_url = await self._influxdb.first_line()
        await self._link(opening, "home", _port(home["url"]))
        await self._link(opening, "influxdb", _port(self._influxdb_url))
        for name in self.setup.workers:
            if name != "admin":  # what it reads would keep the other proxies waiting
                await self._link(opening, name, self.redis.port)
            self.workers[name] = self._worker(opening, name)
        self.bus: Bus = await opening.enter_async_context(connect(self.redis.url, Keys()))
        for worker in self.workers.values():
            worker.start()
        await self.subscribed()
        await self._wait(self.is_idle, "the first states to be stored")
        if self.setup.owes_history:  # what goes missing before is taken for what was before us
            said = self.hears("ingest", from_start=True)
            await self._wait(lambda: said("Fetched what was missed"), "the first history")
        self.account.read_on()
        assert self.account.points, "no state of the snapshot was stored"
        self.account.since_n = self.account.last_n

    async def _link(self, opening: AsyncExitStack, name: str, port: int) -> None:
        self.links[name] = await opening.enter_async_context(ToxicProxy(port))

    def _child(self, opening: AsyncExitStack, name: str, *command: str, **more: str) -> Child:
        kept = ("PATH", "HOME", "LANG")
        environment = {
            key: text for key, text in os.environ.items() if key in kept or key.startswith("COV")
        }
        environment |= {"PYTHONPATH": str(ROOT), "TMPDIR": str(self.folder), **more}
        child = Child(name, [sys.executable, *command], environment, self.folder)
        opening.push_async_callback(child.end)
        return child

    def _worker(self, opening: AsyncExitStack, name: str) -> Child:
        room = name.partition("-")[0]
        traps = (
            f"{at}={kind}:{self.trap(key)}" for key, (at, kind) in TRAPS.items() if _fits(at, room)
        )
        port = self.links[name].port if name in self.links else self.redis.port
        return self._child(
            opening,
            name,
            *("-m", "tests.fakes.rigged", room),
            **{
                "RIGGED_CLOCKS": " ".join(
                    f"{at}={s}" for at, s in CLOCKS.items() if _fits(at, room)
                ),
                "RIGGED_TRAPS": " ".join(traps),
                "RIGGED_CLOCK": str(self.clock),
                "WORKER_NAME": name,
                "HA_WEBSOCKET_URL": f"ws://127.0.0.1:{self.links['home'].port}/api/websocket",
                "HA_ACCESS_TOKEN": self.secrets["HA_ACCESS_TOKEN"],
                "HA_EXCLUDE_DOMAINS": FILTERED_DOMAIN,
                "REDIS_URL": f"redis://habus:{self.secrets['redis']}@127.0.0.1:{port}/0",
                "INGEST_SPOOL_PATH": str(self.folder / "spool" / "spool.db"),
                "INFLUXDB_URL": f"http://127.0.0.1:{self.links['influxdb'].port}",
                "INFLUXDB_TOKEN": self.secrets["INFLUXDB_TOKEN"],
                "INFLUXDB_TIMEOUT_S": "3",
                "STORE_BATCH_SIZE": "1000",
                "ADMIN_TOKEN": self.secrets["ADMIN_TOKEN"],
                "ADMIN_PORT": "0",
                **dict(self.setup.settings),
            },
        )

    def another(self, name: str, **settings: str) -> Child:
        """One more worker of a room, not started; whoever starts it ends it."""
        twin = self.workers[name]
        environment = twin.environment | settings
        return Child(f"{name}-another", twin.command, environment, self.folder)

    def trap(self, name: str) -> Path:
        """The file that arms a trap; with `.once` it springs once."""
        return self.folder / (f"{name}.once" if name == "after_write" else name)

    def lay_trap(self, name: str, *words: str) -> None:
        """Arm a trap for arguments in which one of the words stands; without words for any."""
        laid = self.folder / f"{name}.laid"
        laid.write_text("\n".join(words))
        laid.replace(self.trap(name))  # in one step: half a file would mean somebody else

    @property
    def clock(self) -> Path:
        """The file that says by how many seconds every worker's time of day is wrong."""
        return self.folder / "clock"

    def sprung(self, name: str) -> int:
        """How often a trap has sprung."""
        traces = self.trap(name)
        traces = traces.with_name(traces.name + ".sprung")
        return len(traces.read_text().splitlines()) if traces.exists() else 0

    def hears(self, name: str, *, from_start: bool = False) -> Callable[[str], bool]:
        """Listen to the log of a worker from now on; ask whether it said some words since."""
        log = self.workers[name].log
        start = 0 if from_start else log.stat().st_size

        def said(words: str) -> bool:
            return words in log.read_bytes()[start:].decode(errors="replace")

        return said

    # Its neighbours

    async def home(self, control: str, **arguments: object) -> Any:
        """Tell the simulated home something; its answer."""
        url = f"{self._home_url}/simulator/{control}?{_query(arguments)}"
        return json.loads(await asyncio.to_thread(_fetched, url, None))["result"]

    async def influxdb(self, order: str, **arguments: object) -> None:
        """Tell the fake InfluxDB how to misbehave."""
        url = f"{self._influxdb_url}/fake/{order}?{_query(arguments)}"
        await asyncio.to_thread(_fetched, url, b"")

    async def write_point(self, line: str) -> None:
        """Write a point that is not ours into InfluxDB."""
        query = _query({"org": "home", "bucket": "home_assistant", "precision": "us"})
        url = f"{self._influxdb_url}/api/v2/write?{query}"
        request = Request(url, line.encode())  # noqa: S310 - our own server
        request.add_header("Authorization", f"Token {self.secrets['INFLUXDB_TOKEN']}")
        await asyncio.to_thread(_fetched, request, None)

    async def influxdb_requests(self) -> int:
        """How many requests the fake InfluxDB has answered, ours among them."""
        counts = await asyncio.to_thread(_fetched, f"{self._influxdb_url}/fake/counts", None)
        return int(json.loads(counts)["requests"])

    async def start_redis(self) -> None:
        """Start Redis again; returns when it has loaded its data."""
        await asyncio.to_thread(self.redis.start, 30)

    async def ledger(self) -> Ledger:
        """The pipeline's own count."""
        return await read_ledger(self.bus)

    async def dead(self) -> set[Key]:
        """What stands in the dead letters; of messages that are no event only the number."""
        entries = await self.bus.command("XRANGE", "ha:dead", "-", "+")
        letters = [dict(pairs_of(fields)) for _, fields in entries]
        events = [fields for fields in letters if fields[b"type"] != b"unreadable"]
        self.unreadable = len(letters) - len(events)
        return {key_of(fields) for fields in events}

    async def gaps(self) -> bool:
        """Read what habus says is missing; return whether it is still fetching."""
        told = json.loads(await self.bus.read_field("ha:watermark", "gaps") or b"[]")
        self.account.gaps = [
            Gap(
                us_of(gap["from"]),
                us_of(gap["to"]),
                None if gap["entities"] == "all" else frozenset(gap["entities"]),
            )
            for gap in told
            if gap["state"] == "final"
        ]
        return any(gap["state"] == "open" for gap in told)

    async def happen(self, count: int) -> set[Key]:
        """Let so many states change at once; what is owed of them."""
        self.account.read_on()
        before = self.account.last_n
        await self.home("change", count=count)
        self.account.read_on()
        return {key for key in self.account.owed if self.account.changes[key].n > before}

    async def appear(self, entity_id: str) -> Key:
        """Let an entity appear and go at once; its first change. It must be quiet meanwhile."""
        self.account.read_on()
        await self.home("add", entity_id=entity_id)
        self.account.read_on()
        [key] = (key for key in self.account.owed if key[1] == entity_id)
        return key

    async def drained(self) -> None:
        """Let nothing happen any more, and wait until all is stored."""
        await self.stop_flow()
        await self._wait(self.is_idle, "all to be stored")

        async def all_stored() -> bool:
            await self.stored()
            return not self.account.missing - await self.dead()

        await self._wait(all_stored, "all to be stored")

    async def count(self, stream: str) -> int:
        """How many entries a stream has."""
        return int(await self.bus.command("XLEN", f"ha:{stream}"))

    async def stored(self) -> int:
        """How many changes stand in the sink now."""
        self.account.read_on()
        return len(self.account.points)

    # Load, and being done

    async def flow(self) -> None:
        """Let the home live, and return when events reach the sink."""
        await self.home("set_rate", rate=self.setup.rate)
        before = await self.stored()

        async def flows() -> bool:
            return await self.stored() > before + 20

        await self._wait(flows, "events to flow")

    async def subscribed(self) -> None:
        """Wait until the simulated home has somebody to tell."""
        await self._wait(self._is_subscribed, "ingest to subscribe")

    async def stop_flow(self) -> None:
        """Let nothing happen any more, and everything that happened be written to the socket."""
        await self.home("set_rate", rate=0)
        await asyncio.sleep(0.15)

        async def all_told() -> bool:
            return not (await self.home("status"))["pending"]

        await self._wait(all_told, "the home to tell all")

    async def lives(self, least_s: float, most_s: float | None = None) -> None:
        """Let time pass: a moment that the seed draws."""
        await asyncio.sleep(self.dice.uniform(least_s, most_s or least_s))

    async def is_idle(self) -> bool:
        """Whether nothing is on its way, by the pipeline's own count."""
        try:
            ledger = await self.ledger()
        except BusUnavailable:
            return False
        return ledger.captured > 0 and ledger.in_flight == 0

    async def is_well(self) -> bool:
        """Whether every worker beats, and none of them misses a neighbour."""
        try:
            pulses = await read_pulses(self.bus)
        except BusUnavailable:
            return False
        names = {(pulse.stage, pulse.name) for pulse in pulses}
        states = [state for pulse in pulses for state in pulse.dependencies.values()]
        return len(names) >= len(self.workers) and all(state == "up" for state in states)

    async def settled(
        self, until_n: int, ended: float, *, only_until: bool = False
    ) -> tuple[float, list[str]]:
        """Wait until all that happened is stored or buried, and nothing is in flight.

        Args:
            until_n: Number of the last change before the fault's end.
            ended: When the fault ended, on the monotonic clock.
            only_until: Do not wait for what happened after these changes.

        Returns:
            Seconds after the end when the first `until_n` changes were settled; what did not
            come true in time.
        """
        recovery_s = 0.0
        deadline = ended + HEALS_WITHIN_S
        while True:
            began = time.monotonic()
            try:
                dead, fetches = await self.dead(), await self.gaps()
            except BusUnavailable:
                dead, fetches = set(), True
            self.account.read_on()
            missing = self.account.missing - dead
            if not recovery_s and not missing & self.account.owed_until(until_n):
                recovery_s = time.monotonic() - ended
            if recovery_s and only_until:
                return recovery_s, []
            waits = [] if recovery_s else ["what happened before the end is not all settled"]
            if missing:
                waits.append(f"{len(missing)} of all are not settled")
            if fetches:
                waits.append("a gap is still being filled")
            if not waits and not await self.is_idle():
                waits.append(f"in flight: {await self._counted()}")
            if not waits and not await self.is_well():
                waits.append(f"not well: {await self._pulses()}")
            if not waits or time.monotonic() > deadline:
                return recovery_s, waits
            # As much time for the pipeline as the look took: it compares every event.
            await asyncio.sleep(max(0.05, time.monotonic() - began))

    async def _counted(self) -> str:
        try:
            return str(await self.ledger())
        except BusUnavailable as error:
            return str(error)

    async def _pulses(self) -> str:
        try:
            pulses = await read_pulses(self.bus)
        except BusUnavailable as error:
            return str(error)
        return ", ".join(f"{pulse.stage} {pulse.dependencies}" for pulse in pulses)

    async def audited(self) -> dict[str, list[str]]:
        """Every invariant that does not hold now that nothing happens any more."""
        dead = await self.dead()
        self.account.read_on()
        broken = self.account.faults(dead)
        if innocents := dead - self.expected_dead - self.account.strangers:
            broken["I9 buried an innocent"] = [str(key) for key in sorted(innocents)[:5]]
        if spared := self.expected_dead - dead - self.account.points.keys():
            broken["I1 neither stored nor buried"] = [str(key) for key in sorted(spared)[:5]]
        if wrong := await self._dishonest(dead):
            broken["I7 ledger differs from the oracle"] = wrong
        if excess := self._excess():
            broken["I5 unbounded"] = excess
        if hits := await asyncio.to_thread(self._leaks):
            broken["I8 a secret shows"] = hits
        return broken

    async def _dishonest(self, dead: set[Key]) -> list[str]:
        """What the ledger says and the oracle does not; after meddling it may need some rounds."""
        deadline = time.monotonic() + (HEALS_WITHIN_S if self.setup.meddled else 0)
        while True:
            ledger = await self.ledger()
            claims = {
                "unaccounted": (ledger.unaccounted, 0),
                "dead": (ledger.dead, len(dead) + self.unreadable),
                "lost": (ledger.lost, len(self.account.taken)),
            }
            stored = len(self.account.points) + len(self.account.gap_points)
            if not self.setup.meddled:
                claims |= {"stored": (ledger.stored, stored), "again": (ledger.redelivered, 0)}
            elif ledger.stored < stored:
                claims |= {"stored, at least": (ledger.stored, stored)}
            wrong = [
                f"{name} {said}, is {is_so}"
                for name, (said, is_so) in claims.items()
                if said != is_so
            ]
            if not wrong or time.monotonic() > deadline:
                return [*wrong, str(ledger)] if wrong else []
            await asyncio.sleep(0.1)

    def _excess(self) -> list[str]:
        excess = []
        for name, worker in self.workers.items():
            memory_mb = _resident_mb(worker.pid)
            files = len(os.listdir(f"/proc/{worker.pid}/fd"))  # noqa: PTH208 - names are enough
            if memory_mb > MOST_MEMORY_MB or files > MOST_FILES:
                excess.append(f"{name}: {memory_mb:.0f} MB, {files} files")
        return excess

    def _leaks(self) -> list[str]:
        """Files in which a secret stands: logs, spool, and all that Redis ever wrote down."""
        canaries = [secret.encode() for secret in self.secrets.values()]
        hits = []
        for path in sorted(self.folder.rglob("*")):
            ours = (
                path.suffix in {".log", ".out", ".aof", ".rdb", ".sprung"} or "spool" in path.parts
            )
            if not ours or not path.is_file() or path.stem in {"simulator", "influxdb"}:
                continue
            size = path.stat().st_size
            start = max(0, self._read_bytes.get(path, 0) - 100) if path.suffix == ".log" else 0
            if path.suffix == ".aof" and size == self._read_bytes.get(path):
                continue
            with path.open("rb") as file:
                file.seek(start)
                content = file.read()
            self._read_bytes[path] = size
            hits += [f"{path.name}: {each[:14].decode()}…" for each in canaries if each in content]
        return hits

    async def _is_subscribed(self) -> bool:
        for worker in self.workers.values():
            assert worker.runs, f"{worker.name} ended with {worker.code}:\n{worker.last_words()}"
        return bool((await self.home("status"))["subscribed"])

    async def _wait(self, condition: Any, what: str, within_s: float = 60.0) -> None:
        await until(condition, within_s, what)

    # Repair, whatever a fault left behind

    async def repair(self) -> None:
        """Undo what a fault did, as far as it is still there; every fault calls it at its end."""
        for link in self.links.values():
            await link.heal()
        await self.influxdb("behave")
        await self.home("behave")
        for name in TRAPS:
            self.trap(name).unlink(missing_ok=True)
        self.clock.unlink(missing_ok=True)
        self.redis.resume()
        for worker in self.workers.values():
            worker.resume()
            if not worker.runs:
                worker.start()


def _fits(dotted: str, room: str) -> bool:
    return dotted.partition(".")[0] in {"common", room}


def _port(url: str) -> int:
    return int(url.split(":")[2].partition("/")[0])


def _query(arguments: dict[str, object]) -> str:
    return urlencode(
        {
            key: json.dumps(value) if isinstance(value, bool) else value
            for key, value in arguments.items()
        }
    )


def _fetched(url: str | Request, body: bytes | None) -> bytes:
    with urlopen(url, body, timeout=30) as reply:  # noqa: S310 - our own servers
        content: bytes = reply.read()
        return content


def pairs_of(flat: list[bytes] | dict[bytes, bytes]) -> list[tuple[bytes, bytes]]:
    """Fields of an entry and their values, however the client hands them out."""
    if isinstance(flat, dict):
        return list(flat.items())
    return list(zip(flat[::2], flat[1::2], strict=True))


def key_of(fields: dict[bytes, bytes]) -> Key:
    """The change that an entry is about."""
    return us_of(fields[b"time"].decode()), fields.get(b"entity_id", b"").decode()


def us_of(text: str) -> int:
    """Microseconds since 1970 of a time in ISO 8601."""
    when = datetime.fromisoformat(text)
    return int(when.replace(microsecond=0).timestamp()) * 1_000_000 + when.microsecond


def _resident_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0

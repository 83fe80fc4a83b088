"""The three workers with a simulated home, a real Redis and the sink that is a file."""

import asyncio
import time
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest

from admin.desk import Desk
from admin.metrics import exposition
from common.bus import INGEST, STORE, DeadLetters, Filter, Keys, connect
from common.errors import AuthenticationFailed, SpoolInUse
from common.heartbeat import read_pulses
from common.ledger import read_ledger
from common.lifecycle import Stopped
from common.registry import Registry
from enrich import __main__ as enrich_room
from enrich.config import Settings as EnrichSettings
from ingest import __main__ as ingest_room
from ingest import capture
from ingest.config import Settings as IngestSettings
from ingest.connection import Socket
from ingest.simulator.server import Simulator
from ingest.simulator.settings import Settings as HomeSettings
from store import __main__ as store_room
from store.config import Settings as StoreSettings
from tests.fakes.bus import event, fields_of
from tests.fakes.desk import FakeSink
from tests.fakes.influxdb import FakeInfluxDB
from tests.fakes.redis_server import RedisServer
from tests.fakes.stored import (
    assert_each_once,
    missing,
    spooled_and_not_stored,
    stored_rows,
)
from tests.fakes.until import until
from tests.fakes.worker_process import WorkerProcesses

pytestmark = pytest.mark.integration

KEYS = Keys()


class Pipeline:
    """A simulated home, an empty Redis, and the three workers between them."""

    def __init__(self, home, bus, redis_url, folder):
        self.home = home
        self.bus = bus
        self.redis_url = redis_url
        self.folder = folder
        self.oracle = folder / "oracle"
        self.sink = folder / "events.db"
        self.spool = folder / "spool.db"

    def ingest(self, **changed):
        return IngestSettings(
            **{
                "redis_url": self.redis_url,
                "worker_name": "test",
                "ha_websocket_url": self.home.url,
                "ha_access_token": self.home.token,
                "ingest_spool_path": self.spool,
                **changed,
            }
        )

    @asynccontextmanager
    async def running(self, **ingest):
        """All three workers in this process, as `habus run` has them."""
        stop = asyncio.Event()
        shared = {"redis_url": self.redis_url, "worker_name": "test"}
        store = StoreSettings(**shared, store_sink="sqlite", store_sqlite_path=self.sink)
        async with asyncio.TaskGroup() as workers:
            for main, settings in (
                (ingest_room.main, self.ingest(**ingest)),
                (enrich_room.main, EnrichSettings(**shared)),
                (store_room.main, store),
            ):
                workers.create_task(ending(main(settings, stop)))
            try:
                await until(lambda: self.home.told, what="the subscription")
                yield
            finally:
                stop.set()

    async def settled(self):
        """Wait until all that was sent is stored, and nothing is in flight."""

        async def idle():
            ledger = await read_ledger(self.bus)
            return not self.missing() and ledger.captured and ledger.in_flight == 0

        await until(idle, within_s=30, what="that all is stored")
        ledger = await read_ledger(self.bus)
        assert (ledger.unaccounted, ledger.lost) == (0, 0), ledger
        return ledger

    def missing(self):
        return missing(self.oracle, self.sink)

    def assert_each_once(self):
        return assert_each_once(self.oracle, self.sink)

    def stored(self, event_type="state_changed"):
        return stored_rows(self.sink, event_type)

    async def registry_version(self):
        return await self.bus.read_field(KEYS.registry, "version")


async def ending(worker):
    with suppress(Stopped):
        await worker


@pytest.fixture
async def home(tmp_path):
    settings = HomeSettings(
        rate=0, oracle=str(tmp_path / "oracle"), linger_s=0.1, auth_timeout_s=5.0
    )
    async with Simulator(settings).serve() as living:
        yield living


@pytest.fixture
async def pipe(home, redis_url, tmp_path):
    async with connect(redis_url) as bus:
        yield Pipeline(home, bus, redis_url, tmp_path)


async def test_each_change_is_stored_once(pipe, home):
    """What the home numbered stands in the sink, each once, with its state and its time."""
    async with pipe.running():
        for _ in range(20):
            home.change(50)
            await asyncio.sleep(0)
        ledger = await pipe.settled()
    assert pipe.assert_each_once() == 1000
    assert ledger.stored == len(pipe.stored())
    assert (ledger.dead, ledger.filtered) == (0, 0)


@pytest.mark.parametrize("how", ["abort", "eof", "hang_up", "1012"])
async def test_a_lost_connection_loses_and_doubles_nothing(pipe, home, how):
    """What came before a reconnect and what comes after it is stored once, the snapshot too."""
    async with pipe.running():
        for _ in range(2):
            home.change(100)
            await pipe.settled()
            home.drop(how)
            await until(lambda: not home.told)
            await until(lambda: home.told, within_s=20, what="the reconnect")
        home.change(100)
        ledger = await pipe.settled()
    pipe.assert_each_once()
    assert ledger.stored == len(pipe.stored())
    assert ledger.duplicates > 0


async def test_what_is_sent_twice_is_stored_once(pipe, home):
    """A double of the live stream is dropped at the door and counted."""
    home.misbehave(twice=True)
    async with pipe.running():
        home.change(200)
        ledger = await pipe.settled()
    pipe.assert_each_once()
    assert ledger.duplicates >= 200
    assert ledger.stored == len(pipe.stored())


async def test_removals_and_renames_are_stored(pipe, home):
    """An entity that goes, or gets another id, is seen to go and to come."""
    async with pipe.running():
        home.change(100)
        gone, old = sorted(home.home.lives)[:2]
        home.remove(gone)
        home.rename(old, "sensor.renamed")
        await pipe.settled()
    pipe.assert_each_once()
    states = {}
    for (us, entity_id), state in sorted(pipe.stored()):
        states[entity_id] = (us, state)
    assert states[gone][1] is None
    assert states[old][1] is None
    assert states["sensor.renamed"][1] is not None


async def test_the_registries_stand_on_the_bus_before_the_first_event(pipe):
    """Areas are known when the first states are enriched."""
    async with pipe.running():
        await pipe.settled()
        registry = Registry.decode(await pipe.bus.read_hash(KEYS.registry))
    assert len(registry.areas) == 8
    assert registry.version > 0


async def test_a_change_of_a_registry_is_read_in_a_quiet_home(pipe, home):
    """An entity that moves to another area is known there soon, though no state changes."""
    async with pipe.running():
        await pipe.settled()
        before = await pipe.registry_version()
        entity = next(e for e in sorted(home.home.lives) if e.startswith("sensor."))
        home.move(entity, "kitchen")

        async def renewed():
            return await pipe.registry_version() != before

        await until(renewed, within_s=5, what="the new registry")


async def test_a_change_of_a_registry_is_read_while_events_go_on(pipe, home):
    """An entity that moves to another area is known there soon."""
    async with pipe.running():
        await pipe.settled()
        before = await pipe.registry_version()
        home.move(min(home.home.lives), "kitchen")
        home.set_rate(20)

        async def renewed():
            return await pipe.registry_version() != before

        await until(renewed, what="the new registry")
        home.set_rate(0)
        await pipe.settled()


async def test_other_event_types_are_stored_too(pipe, home):
    """What the user asks for beside state changes is captured."""
    types = ("state_changed", "call_service", "automation_triggered")
    async with pipe.running(ha_event_types=types):
        home.automation()
        await until(lambda: pipe.stored("automation_triggered"))
        await pipe.settled()
    assert pipe.stored("call_service") or pipe.stored("automation_triggered")


async def test_what_is_no_event_becomes_a_letter_of_ingest(pipe, home):
    """A message of a live subscription that cannot be read is buried at the door, and seen."""
    async with pipe.running():
        home.change(10)
        home.send_rubbish("no_time")
        home.change(10)

        async def buried():
            return await DeadLetters(pipe.bus).page(Filter(stage=INGEST), 10)

        await until(buried)
        ledger = await pipe.settled()
        [letter] = await buried()
    assert (letter.reason, letter.worker, ledger.dead) == ("malformed_event", "test", 1)
    assert "sensor.odd" in letter.fields["data"]


@pytest.mark.parametrize("kind", ["not_json", "bad_utf8", "truncated"])
async def test_a_broken_conversation_is_begun_anew(pipe, home, kind):
    """A frame that is no JSON is no event: hang up, come back, bury nothing."""
    async with pipe.running():
        home.change(20)
        await pipe.settled()
        [client] = home.clients
        home.send_rubbish(kind)
        await until(lambda: client not in home.clients and home.told, within_s=20)
        home.change(20)
        ledger = await pipe.settled()
    pipe.assert_each_once()
    assert ledger.dead == 0


async def test_a_refused_token_is_tried_once(pipe, home):
    """After `auth_invalid` ingest ends with a message; a second try could get us banned."""
    met = []
    meet = home._meet

    async def counting(socket):
        met.append(socket)
        await meet(socket)

    home._meet = counting
    await home.stop_listening()
    await home.listen()
    settings = pipe.ingest(ha_access_token="wrong")
    with pytest.raises(ExceptionGroup) as caught:
        await ingest_room.main(settings, asyncio.Event())
    assert caught.group_contains(AuthenticationFailed, match="HA_ACCESS_TOKEN")
    assert len(met) == 1


async def test_a_refused_token_is_tried_once_in_ten_minutes(pipe, home, monkeypatch):
    """Whoever starts ingest again and again does not get us banned; another token is tried."""
    met = []
    meet = home._meet

    async def counting(socket):
        met.append(socket)
        await meet(socket)

    home._meet = counting
    await home.stop_listening()
    await home.listen()
    clock = SimpleNamespace(time=time.time, time_ns=time.time_ns)
    monkeypatch.setattr(ingest_room, "time", clock)
    now = time.time()
    for wait_s, token, tried in (
        (0, "wrong", 1),
        (300, "wrong", 1),
        (300, "other", 2),
        (300, "other", 2),
        (400, "other", 3),
    ):
        now += wait_s
        clock.time = lambda now=now: now
        with pytest.raises((ExceptionGroup, AuthenticationFailed)) as caught:
            await ingest_room.main(pipe.ingest(ha_access_token=token), asyncio.Event())
        error = caught.value
        error = error if isinstance(error, AuthenticationFailed) else error.exceptions[0]
        assert "HA_ACCESS_TOKEN" in str(error)
        assert len(met) == tried
    assert b"other" not in pipe.spool.with_name("spool.db.refused").read_bytes()


async def test_a_home_that_does_not_greet_is_left(pipe, home, monkeypatch):
    """A server that accepts and says nothing is hung up on, and tried again."""
    monkeypatch.setattr(capture, "GREETING_S", 0.2)
    greeted = asyncio.Event()
    meet = home._meet
    met = []

    async def silent_twice(socket):
        met.append(socket)
        if len(met) > 2:
            greeted.set()
            await meet(socket)
        else:
            await socket.wait_closed()

    home._meet = silent_twice
    await home.stop_listening()
    await home.listen()
    async with pipe.running():
        await asyncio.wait_for(greeted.wait(), 30)
        home.change(10)
        await pipe.settled()


async def test_what_nobody_foresaw_in_the_reader_ends_ingest(pipe, home, monkeypatch):
    """A defect in a task of its own is no silence: the process ends with it."""

    async def broken(self):
        yield await self._client.recv(decode=False)
        message = "a defect"
        raise ZeroDivisionError(message)

    monkeypatch.setattr(Socket, "frames", broken)
    with pytest.raises(ExceptionGroup) as caught:
        await asyncio.wait_for(ingest_room.main(pipe.ingest(), asyncio.Event()), 30)
    assert caught.group_contains(ZeroDivisionError)
    assert home


async def test_what_cannot_be_enriched_or_stored_becomes_a_letter(pipe, home):
    """Rubbish in a stream is buried by the worker that reads it, and the rest goes on."""
    async with pipe.running():
        home.change(20)
        await pipe.settled()
        rubbish = (fields_of(event(1, data=b"{nope")), ("hello", "world"))
        adds = [("XADD", key, "*", *r) for key in (KEYS.inbox, KEYS.enriched) for r in rubbish]
        count = ("HINCRBY", KEYS.ledger, "captured", len(adds))
        await pipe.bus.commands(*adds, count, atomic=True)  # or they would count as redelivered
        home.change(20)

        async def buried():
            return len(await DeadLetters(pipe.bus).page(Filter(), 10)) == 4

        await until(buried)
        ledger = await pipe.settled()
        letters = await DeadLetters(pipe.bus).page(Filter(), 10)
    assert sorted(letter.stage for letter in letters) == ["enrich", "enrich", "store", "store"]
    assert {letter.reason for letter in letters} <= {"malformed_event", "enrich_failed"}
    assert ledger.dead == 4
    pipe.assert_each_once()


async def test_a_registry_that_cannot_be_read_stops_nothing(pipe, home):
    """Events are enriched with what was known before."""
    async with pipe.running():
        home.change(20)
        await pipe.settled()
        await pipe.bus.write_hash(KEYS.registry, {"areas": "{nope", "version": "7"})
        home.change(20)
        ledger = await pipe.settled()
    pipe.assert_each_once()
    assert ledger.dead == 0


async def test_workers_end_in_order(pipe, home):
    """SIGTERM ends each worker with 0."""
    folder = pipe.folder / "redis"
    folder.mkdir()
    with RedisServer(folder) as server:
        workers = WorkerProcesses(
            pipe.folder,
            REDIS_URL=server.url,
            HA_WEBSOCKET_URL=home.url,
            HA_ACCESS_TOKEN=home.token,
        )
        async with workers.start("ingest", "enrich", "store"):
            await until(lambda: home.told and pipe.stored(), within_s=20)
            assert await workers.stop() == {"ingest": 0, "enrich": 0, "store": 0}


async def test_ingest_ends_in_order_while_redis_is_away(pipe, home):
    """Stopped under load while Redis is away, ingest ends with 0, and spooled what it heard."""
    folder = pipe.folder / "redis"
    folder.mkdir()
    home.set_rate(1000)
    ends = []
    for _ in range(3):
        with RedisServer(folder) as server:
            workers = WorkerProcesses(
                pipe.folder,
                REDIS_URL=server.url,
                HA_WEBSOCKET_URL=home.url,
                HA_ACCESS_TOKEN=home.token,
            )
            workers.start("ingest")
            await until(lambda: home.told, within_s=20)
            server.kill()
            ends.append((await workers.stop())["ingest"])
    assert ends == [0] * 3


@pytest.mark.parametrize(
    "wrong",
    [
        {"HA_ACCESS_TOKEN": "wrong"},
        {"REDIS_URL": "redis://:wrong@127.0.0.1:{port}/0"},
        {"INGEST_SPOOL_PATH": "/proc/nowhere/spool.db"},
    ],
    ids=str,
)
async def test_what_a_person_must_change_is_said_in_words(pipe, home, wrong):
    """A worker that cannot go on names the variable, shows no traceback, and ends."""
    port = urlsplit(pipe.redis_url).port
    settings = {
        "REDIS_URL": pipe.redis_url,
        "HA_WEBSOCKET_URL": home.url,
        "HA_ACCESS_TOKEN": home.token,
        **{name: value.format(port=port) for name, value in wrong.items()},
    }
    workers = WorkerProcesses(pipe.folder, **settings)
    async with workers.start("ingest"):
        ended = await workers.ended("ingest")
    said = workers.log("ingest").read_text()
    [name] = wrong
    assert name in said
    assert "Traceback" not in said
    assert "defect" not in said
    assert ended in {1, 2}


async def test_what_a_rule_leaves_out_is_counted(pipe, home):
    """Entities that are excluded are not stored, and the ledger says how many events that was."""
    async with pipe.running(ha_include_domains=("light",)):
        home.change(300)

        async def quiet():
            ledger = await read_ledger(pipe.bus)
            return ledger.captured >= 300 and ledger.in_flight == 0

        await until(quiet, within_s=20)
        ledger = await read_ledger(pipe.bus)
    rows = pipe.stored()
    assert rows
    assert {entity_id.partition(".")[0] for (_, entity_id), _ in rows} == {"light"}
    assert ledger.unaccounted == 0
    assert ledger.filtered + ledger.duplicates + ledger.stored == ledger.captured
    assert ledger.stored == len(rows)


async def test_workers_say_that_they_live(pipe, home):
    """Each worker has a heartbeat with what it did, and is gone at once when it is stopped."""
    async with pipe.running():
        home.change(10)
        await pipe.settled()

        async def stages():
            return {pulse.stage for pulse in await read_pulses(pipe.bus)} >= {
                "ingest",
                "enrich",
                "store",
            }

        await until(stages)
    assert await read_pulses(pipe.bus) == []


async def test_a_sink_that_goes_away_in_a_silent_home_is_noticed(pipe, monkeypatch):
    """Nobody writes, and yet the heartbeat says that it is down, and that it is up again."""
    monkeypatch.setattr(store_room, "LOOK_S", 0.1)
    monkeypatch.setattr("common.heartbeat.EVERY_S", 0.05)
    stop = asyncio.Event()

    async def sink_is(state):
        return any(
            pulse.dependencies.get("sink", "").startswith(state)
            for pulse in await read_pulses(pipe.bus, STORE)
        )

    async with FakeInfluxDB() as influxdb, asyncio.TaskGroup() as workers:
        settings = StoreSettings(
            redis_url=pipe.redis_url,
            worker_name="test",
            influxdb_url=influxdb.url,
            influxdb_token=influxdb.token,
        )
        workers.create_task(ending(store_room.main(settings, stop)))
        await until(lambda: sink_is("up"), what="store to find its sink")
        await influxdb.away()
        await until(lambda: sink_is("down: nothing listens"), what="store to miss its sink")
        await influxdb.back()
        await until(lambda: sink_is("up"), within_s=20, what="store to find its sink again")
        assert not influxdb.kept.lines()
        stop.set()


async def test_workers_say_how_long_events_take(pipe, home):
    """Every event is counted on every hop, and the metrics of admin show it."""
    async with pipe.running():
        home.change(100)
        ledger = await pipe.settled()
        hops = {
            "spooled_to_raw": ledger.captured - ledger.filtered - ledger.duplicates,
            "raw_to_enriched": ledger.enriched,
            "enriched_to_stored": ledger.stored,
        }

        async def heard():
            pulses = await read_pulses(pipe.bus)
            found = {hop: sum(n) for pulse in pulses for hop, n in pulse.latency.items()}
            return hops.items() <= found.items() and found["total"] >= 100

        await until(heard, within_s=20, what=f"that heartbeats say {hops}")
        seen = await Desk(bus=pipe.bus, sink=FakeSink(), home="home").overview()
        text = exposition(seen, datetime.now(UTC)).decode()
    for hop in (*hops, "total"):
        assert f'habus_hop_duration_seconds_bucket{{hop="{hop}",le="+Inf"' in text


async def test_a_second_ingest_with_the_same_spool_is_refused(pipe):
    """Two ingests never share a spool."""
    async with pipe.running():
        settings = pipe.ingest(worker_name="twin")
        with pytest.raises(SpoolInUse):
            await ingest_room.main(settings, asyncio.Event())


async def test_an_emptied_redis_is_filled_again(pipe, home):
    """After FLUSHALL, while all workers go on, the spool is sent again and all is stored."""
    async with pipe.running():
        home.change(200)
        await pipe.settled()
        await pipe.bus.command("FLUSHALL")
        home.change(200)
        ledger = await pipe.settled()
    pipe.assert_each_once()
    assert ledger.stored == len(pipe.stored())


async def test_a_restart_of_redis_under_load_loses_nothing(pipe, home):
    """Redis is killed and comes back with all, or without its tail: all is stored once."""
    folder = pipe.folder / "redis"
    folder.mkdir()
    with RedisServer(folder, appendonly="yes", appendfsync="no") as server:
        pipe.redis_url = server.url
        async with connect(server.url) as pipe.bus, pipe.running():
            home.set_rate(300)
            for _ in range(2):
                before = home.sent
                await until(lambda before=before: home.sent > before + 150)
                await asyncio.to_thread(server.kill)
                during = home.sent
                await until(lambda during=during: home.sent > during + 100)
                await asyncio.to_thread(server.start)
            after = home.sent
            await until(lambda: home.sent > after + 150)
            home.set_rate(0)
            await pipe.settled()
    pipe.assert_each_once()


@pytest.mark.parametrize("stage", ["enrich", "store", "ingest"])
async def test_a_worker_that_is_killed_under_load_loses_nothing(pipe, home, stage):
    """Killed three times at 500 events a second: all that was spooled is stored, none is dead."""
    workers = WorkerProcesses(
        pipe.folder, REDIS_URL=pipe.redis_url, HA_WEBSOCKET_URL=home.url, HA_ACCESS_TOKEN=home.token
    )
    async with workers.start("ingest", "enrich", "store"):
        await until(lambda: home.told, within_s=20)
        home.set_rate(500)
        for _ in range(3):
            before = home.sent
            await until(lambda before=before: home.sent > before + 400, within_s=20)
            workers.kill(stage)
            workers.start(stage)
            await until(lambda: home.told, within_s=20)
        before = home.sent
        await until(lambda: home.sent > before + 400, within_s=20)
        home.set_rate(0)

        async def quiet():
            ledger = await read_ledger(pipe.bus)
            return (
                ledger.in_flight == 0
                and ledger.captured >= 1000
                and not spooled_and_not_stored(pipe.spool, pipe.sink)
                and (stage == "ingest" or not pipe.missing())
            )

        await until(quiet, within_s=40, what="that all is stored")
        ledger = await read_ledger(pipe.bus)
    assert (ledger.unaccounted, ledger.dead, ledger.lost) == (0, 0, 0), ledger
    if stage != "ingest":  # what ingest had not spooled when it died, only history can give
        pipe.assert_each_once()
    assert len(pipe.stored()) > 1000
    assert len({key for key, _ in pipe.stored()}) == len(pipe.stored())

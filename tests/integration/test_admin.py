"""Admin as a worker, on a real Redis: it serves, tells, and ends in time."""

import asyncio
import contextlib
import socket
import time

import httpx
import pytest

from admin import worker
from admin.__main__ import listen, main, url_of
from admin.config import Settings
from admin.desk import Desk
from common.bus import connect
from common.bus.server import describe
from common.errors import InvalidSetting
from common.heartbeat import read_pulses
from tests.fakes.desk import FakeSink
from tests.fakes.redis_server import RedisServer
from tests.fakes.servers import free_port
from tests.fakes.until import until

pytestmark = pytest.mark.integration
TOKEN = "a-token-that-is-long-enough"


def settings_for(tmp_path, redis_url, **more):
    return Settings(
        redis_url=redis_url,
        store_sink="sqlite",
        store_sqlite_path=tmp_path / "events.db",
        admin_port=free_port(),
        admin_token=TOKEN,
        admin_token_path=tmp_path / "admin_token",
        **more,
    )


@contextlib.asynccontextmanager
async def running(settings):
    """Run admin; yield a client with the token, and what stops it."""
    stop = asyncio.Event()
    work = asyncio.create_task(main(settings, stop))
    url = f"http://127.0.0.1:{settings.admin_port}"
    try:
        async with httpx.AsyncClient(
            base_url=url, headers={"Authorization": f"Bearer {TOKEN}"}
        ) as client:

            async def alive():
                with contextlib.suppress(httpx.TransportError):
                    return (await client.get("/healthz")).status_code == 200

            await until(alive, what="an answer")
            yield client, stop, work
    finally:
        stop.set()
        await work


async def test_it_serves_and_beats(tmp_path, redis_url):
    """It answers, its heartbeat is heard, and goes when it ends; it remembers how fast it flows."""
    settings = settings_for(tmp_path, redis_url, worker_name="attic")
    async with connect(redis_url) as bus:
        async with running(settings) as (client, _, _):
            assert (await client.get("/readyz")).status_code == 200
            await until(lambda: read_pulses(bus, "admin"), what="a heartbeat")
            [pulse] = await read_pulses(bus, "admin")
            assert pulse.name == "attic"
            answer = await client.get("/api/v1/ledger")
            assert answer.json()["unaccounted"] == 0
            assert "server" not in answer.headers

            async def remembered():
                return (await client.get("/api/v1/events/rates")).json()["times"]

            await until(remembered, what="the rates of its first look")
        assert await read_pulses(bus, "admin") == []


async def test_it_ends_in_time_whoever_is_connected(tmp_path, redis_url):
    """Open connections, idle or half way through a request, do not hold it up."""
    settings = settings_for(tmp_path, redis_url)
    async with running(settings) as (client, stop, work):
        await client.get("/healthz")
        half = socket.create_connection(("127.0.0.1", settings.admin_port))
        half.sendall(
            b"POST /api/v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{"
        )
        quiet = socket.create_connection(("127.0.0.1", settings.admin_port))
        with half, quiet:
            started = time.monotonic()
            stop.set()
            async with asyncio.timeout(5):
                await work
            # Docker kills after 10 s; nobody waits for a request that never comes.
            assert time.monotonic() - started < 5


async def test_redis_may_go_and_come_back(tmp_path, capsys):
    """Without Redis it answers 503, starts all the same and says so, and goes on with Redis."""
    with RedisServer(tmp_path) as server:
        server.stop()
        async with running(settings_for(tmp_path, server.url)) as (client, _, _):
            answer = await client.get("/api/v1/streams")
            assert answer.status_code == 503
            assert answer.json()["error"]["code"] == "BUS_UNAVAILABLE"
            await until(
                lambda: "waiting for Redis" in "".join(capsys.readouterr()), what="a warning"
            )
            server.start()

            async def ready():
                return (await client.get("/readyz")).status_code == 200

            await until(ready, what="Redis")
            assert (await client.get("/api/v1/streams")).status_code == 200


async def test_memory_and_lag_are_told_by_a_real_redis(tmp_path, redis_url):
    """What a fake cannot tell, Redis does."""
    async with running(settings_for(tmp_path, redis_url)) as (client, _, _):
        event = {"event_type": "a", "data": {}, "time_fired": "2026-11-20T15:44:33Z"}
        assert (await client.post("/api/v1/events", json=event)).status_code == 202
        async with connect(redis_url) as bus:
            await bus.command("XGROUP", "CREATE", bus.keys.inbox, "enrich", "0")
        streams = (await client.get("/api/v1/streams")).json()["streams"]
        inbox = next(stream for stream in streams if stream["name"] == "inbox")
        assert inbox["memory_bytes"] > 0
        assert inbox["groups"][0]["lag"] == 1
        assert 'habus_stream_memory_bytes{stream="inbox"}' in (await client.get("/metrics")).text


async def test_a_taken_port_is_said_in_one_sentence(tmp_path, redis_url):
    """The message names the settings and the way out."""
    settings = settings_for(tmp_path, redis_url)
    with (
        socket.create_server(("127.0.0.1", settings.admin_port)),
        pytest.raises(InvalidSetting, match="ADMIN_PORT"),
    ):
        await main(settings, asyncio.Event())


def test_an_address_that_is_not_ours_is_said_so():
    """Another port would not help there."""
    with pytest.raises(InvalidSetting, match="set ADMIN_HOST to an address of this machine"):
        listen("192.0.2.1", 0)


def test_addresses_for_a_browser():
    """What is listened on becomes an address that a browser here can open."""
    for host, name in (("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("::1", "[::1]")):  # noqa: S104 - closed again at once
        try:
            listener = listen(host, 0)
        except InvalidSetting:
            assert ":" in host  # a machine without IPv6
            continue
        with listener:
            assert url_of(listener) == f"http://{name}:{listener.getsockname()[1]}/"


async def test_a_server_tells_about_itself(tmp_path):
    """Persistence, policy and clock come from the server; without rights to CONFIG less does."""
    with RedisServer(tmp_path, appendonly="yes", appendfsync="always", maxmemory="64mb") as server:
        async with connect(server.url) as bus:
            told = await describe(bus)
            assert told.version
            assert (told.appendonly, told.appendfsync) == (True, "always")
            assert (told.maxmemory_bytes, told.maxmemory_policy) == (64 * 2**20, "noeviction")
            assert told.used_bytes > 0
            await bus.command("ACL", "SETUSER", "small", "on", ">p", "~*", "+@all", "-config")
        limited = server.url.replace("//", "//small:p@")
        async with connect(limited) as bus:
            told = await describe(bus)
            assert told.appendonly is True
            assert told.appendfsync is None


@pytest.mark.parametrize(
    ("setting", "value", "word"),
    [
        ("maxmemory-policy", "allkeys-lru", "throws data away"),
        ("appendonly", "no", "loses everything"),
        ("appendfsync", "everysec", "two seconds"),
    ],
)
async def test_a_redis_that_is_made_weaker_is_named_in_health(
    tmp_path, monkeypatch, setting, value, word
):
    """Whoever weakens Redis while all runs reads it in health, and again when it is mended."""
    monkeypatch.setattr(worker, "EXAMINE_EVERY_S", 0.05)
    with RedisServer(tmp_path, appendonly="yes", appendfsync="always", maxmemory="64mb") as server:
        async with connect(server.url) as bus:
            desk = Desk(bus=bus, sink=FakeSink(), home="home")
            stop = asyncio.Event()
            task = asyncio.create_task(worker.keep_examining(desk, stop))

            async def warnings():
                return (await desk.health()).warnings

            await until(lambda: desk.weaknesses is not None)
            assert await warnings() == []
            was = (await bus.command("CONFIG GET", setting))[setting]
            await bus.command("CONFIG SET", setting, value)
            await until(warnings)
            [warning] = await warnings()
            assert word in warning
            assert (await desk.overview()).weaknesses == desk.weaknesses
            await bus.command("CONFIG SET", setting, was)

            async def is_fine():
                return not await warnings()

            await until(is_fine)
            stop.set()
            await task

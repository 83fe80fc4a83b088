"""A Redis of our own: it keeps, it is private, and it never outlives us."""

import asyncio
import os
import signal
import stat
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from admin import embedded_redis as room
from admin.embedded_redis import embedded_redis, find_server
from common.bus import Streams, connect
from common.errors import BusUnavailable, FatalError
from common.ledger import read_ledger
from tests.fakes.servers import require
from tests.fakes.until import until

pytestmark = pytest.mark.integration


@pytest.fixture
def server():
    """A machine with a Redis server."""
    return require("redis-server", "valkey-server")


@pytest.mark.usefixtures("server")
async def test_it_keeps_what_it_was_told(tmp_path):
    """What one run wrote, the next one reads; it refuses when full and is nobody else's."""
    folder = tmp_path / "redis"
    async with embedded_redis(folder, ephemeral=False) as redis:
        assert redis.keeps
        assert redis.url == f"unix://{folder}/redis.sock"
        assert redis.cli == f"redis-cli -s {folder}/redis.sock"
        assert stat.S_IMODE((folder / "redis.sock").stat().st_mode) == 0o700
        async with connect(redis.url) as bus:
            await bus.command("SET", "a", "b")
            told = await bus.command("INFO")
            assert told["maxmemory_policy"] == "noeviction"
            assert told["aof_enabled"] == 1
    async with (
        embedded_redis(folder, ephemeral=False) as redis,
        connect(redis.url) as bus,
    ):
        assert await bus.command("GET", "a") == b"b"


@pytest.mark.usefixtures("server")
async def test_a_deep_folder_gets_a_port(tmp_path):
    """A socket's path has at most 107 bytes; beyond it a loopback port serves."""
    folder = tmp_path / ("x" * 100)
    async with embedded_redis(folder, ephemeral=False) as redis:
        assert redis.url.startswith("redis://127.0.0.1:")
        assert redis.cli.startswith("redis-cli -p ")
        async with connect(redis.url) as bus:
            await bus.ping()


@pytest.mark.usefixtures("server")
async def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    """What to change is said in one sentence: the folder, and --data."""
    (tmp_path / "file").touch()
    with pytest.raises(FatalError, match=r"file/redis cannot be written \(Not a dir.*--data"):
        async with embedded_redis(tmp_path / "file" / "redis", ephemeral=False):
            pass


@pytest.mark.usefixtures("server")
async def test_two_cannot_use_one_folder(tmp_path, monkeypatch):
    """The second is refused with the folder's name, and the first goes on."""
    monkeypatch.setattr(room, "STOP_S", 0.2)
    async with embedded_redis(tmp_path, ephemeral=False) as redis:
        with pytest.raises(FatalError, match=str(tmp_path)):
            async with embedded_redis(tmp_path, ephemeral=False):
                pass
        async with connect(redis.url) as bus:
            await bus.ping()


@pytest.mark.usefixtures("server")
async def test_a_server_that_does_not_start_says_where_to_look(tmp_path):
    """A damaged file is not lost in silence."""
    folder = tmp_path / "appendonlydir"
    folder.mkdir()
    (folder / "appendonly.aof.manifest").write_text("rubbish\n")
    with pytest.raises(FatalError, match=r"redis\.log"):
        async with embedded_redis(tmp_path, ephemeral=False):
            pass


@pytest.mark.usefixtures("server")
async def test_it_is_started_again_when_it_ends(tmp_path, capsys):
    """Killed again and again, it comes back with what it kept, and ends with us."""
    async with (
        embedded_redis(tmp_path, ephemeral=False) as redis,
        connect(redis.url) as bus,
    ):
        await bus.command("SET", "a", "b")
        for _ in range(3):
            pid = (await bus.command("INFO"))["process_id"]
            os.kill(pid, signal.SIGKILL)

            async def is_back(killed=pid):
                with suppress(BusUnavailable):
                    return (await bus.command("INFO"))["process_id"] != killed

            await until(is_back, within_s=30)
        assert await bus.command("GET", "a") == b"b"
    assert capsys.readouterr().out.count("starting it again") == 3


@pytest.mark.usefixtures("server")
async def test_one_that_cannot_start_again_is_tried_again(tmp_path, capsys):
    """While its file cannot be read it is said where to look, and tried until it can."""
    async with (
        embedded_redis(tmp_path, ephemeral=False) as redis,
        connect(redis.url) as bus,
    ):
        await bus.command("SET", "a", "b")
        pid = (await bus.command("INFO"))["process_id"]
        manifest = tmp_path / "appendonlydir" / "appendonly.aof.manifest"
        text = manifest.read_text()
        manifest.write_text("rubbish\n")
        os.kill(pid, signal.SIGKILL)
        said = []

        def complained():
            said.append(capsys.readouterr().out)
            return "redis.log" in "".join(said)

        await until(complained, within_s=30)
        manifest.write_text(text)

        async def is_back():
            with suppress(BusUnavailable):
                return await bus.command("GET", "a") == b"b"

        await until(is_back, within_s=30)


@pytest.mark.usefixtures("server")
async def test_it_ends_when_we_are_killed(tmp_path):
    """Also SIGKILL leaves no server behind, and the folder is free again."""
    code = (
        "import asyncio, sys\n"
        "from pathlib import Path\n"
        "from admin.embedded_redis import embedded_redis\n"
        "async def main():\n"
        "    async with embedded_redis(Path(sys.argv[1]), ephemeral=False):\n"
        "        print('up', flush=True)\n"
        "        await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", code, str(tmp_path)),
        stdout=asyncio.subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    while await process.stdout.readline() != b"up\n":
        assert not process.stdout.at_eof()
    process.kill()
    await process.communicate()
    async with (
        embedded_redis(tmp_path, ephemeral=False) as redis,
        connect(redis.url) as bus,
    ):
        await bus.ping()


async def test_without_a_server_a_fake_will_do_only_if_asked(tmp_path, monkeypatch):
    """Real events need a Redis that keeps them; a demo may take one that does not."""
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(room.importlib.util, "find_spec", lambda _: None)
    assert await find_server() is None
    with pytest.raises(FatalError, match="--ephemeral"):
        async with embedded_redis(tmp_path, ephemeral=False):
            pass
    async with embedded_redis(tmp_path, ephemeral=True) as redis:
        assert not redis.keeps
        async with connect(redis.url) as bus:
            # An error does not end the connection, and scripts run.
            assert (await Streams(bus).info("raw")).length == 0
            assert (await read_ledger(bus)).captured == 0


async def test_the_wheels_server_is_taken_when_it_starts(tmp_path, monkeypatch):
    """The binary inside the wheel counts only where it runs."""
    binary = tmp_path / "bin" / "redis-server"
    binary.parent.mkdir()
    monkeypatch.setenv("PATH", "")
    spec = type("Spec", (), {"submodule_search_locations": [str(tmp_path)]})
    monkeypatch.setattr(room.importlib.util, "find_spec", lambda _: spec)
    assert await find_server() is None
    for text, found in (("no program", None), ("#!/bin/sh\nexit 1\n", None), ("#!/bin/sh\n", True)):
        binary.write_text(text)
        binary.chmod(0o755)
        assert await find_server() == (str(binary) if found else None)


@pytest.mark.usefixtures("server")
async def test_it_waits_for_the_one_that_is_ending(tmp_path):
    """A restart does not stumble over the server that the last run is still ending."""
    first = asyncio.Event()

    async def hold():
        async with embedded_redis(tmp_path, ephemeral=False):
            first.set()
            await asyncio.sleep(0.3)

    held = asyncio.create_task(hold())
    await until(first.is_set)
    async with embedded_redis(tmp_path, ephemeral=False):
        assert held.done()
    await held

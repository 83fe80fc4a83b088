"""The README is true: its commands run, and what it names is there."""

import asyncio
import json
import os
import re
import shlex
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
import typer.main

from admin.cli.app import app as cli
from common.bus import DeadLetters, Filter, connect
from common.config import SinkSettings
from common.sink import open_sink
from tests.fakes.enriched import state_change
from tests.fakes.influxdb_server import InfluxDBServer
from tests.fakes.readme import (
    README,
    ROOT,
    blocks,
    inline,
    tasks,
    typed,
    words_after,
)
from tests.fakes.servers import free_port, require
from tests.fakes.until import until

pytestmark = pytest.mark.integration

NOT_COPIED = shutil.ignore_patterns(
    ".*cache*", ".git", ".venv", ".hypothesis", "recordings", "data"
)
TRY_IT, _, RUN_IT, SECOND_TERMINAL, DEVELOPMENT = blocks("sh")
COMMANDS = typer.main.get_command(cli)
MADE_BY_THE_READER = {".env"}
ANSWERS = {
    "HGETALL ha:ledger": "captured",
    "XINFO GROUPS ha:raw": "last-delivered-id",
    "XREVRANGE ha:enriched + - COUNT 5": "entity_id",
    "XREVRANGE ha:dead + - COUNT 5": "dead_reason",
}
"""What must stand in the answers of redis-cli."""


class Folder:
    """A fresh clone in which `make install` has nothing left to do.

    Its `habus` and its `python` are those that run this test. Its `curl` only tells what it was
    told, and its `redis-cli` asks the Redis that `habus run` started.
    """

    def __init__(self, path):
        self.path = path
        self.port = free_port()
        shutil.copytree(ROOT, path, ignore=NOT_COPIED, dirs_exist_ok=True)
        python = shlex.quote(sys.executable)
        # Where the tests run in the background, SIGINT is ignored, and children inherit that.
        heed = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
        habus = f"{python} -c '{heed}; from admin.cli import main; main()'"
        told = f"{python} -c 'import json, sys; print(json.dumps(sys.argv[1:]))'"
        self.program(".venv/bin/habus", habus)
        self.program(".venv/bin/python", python)
        self.program(".venv/path/habus", habus)
        self.program(".venv/path/curl", told)
        for done in ("python", "installed", "installed-test"):
            (path / ".venv" / done).touch()

    def program(self, name, command):
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
        file.chmod(0o755)

    @property
    def environment(self):
        return {
            "PATH": f"{self.path}/.venv/path:{os.environ['PATH']}",
            "HOME": os.environ.get("HOME", "/"),
            "TMPDIR": str(self.path),
            "ADMIN_PORT": str(self.port),
        }

    def sh(self, script, **environment):
        """Type this; it must end well. Returns what was printed."""
        done = subprocess.run(
            ["sh", "-ec", script],
            cwd=self.path,
            env=self.environment | environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}"
        return done.stdout


@pytest.fixture(scope="module")
def clone():
    # Not pytest's own folder: the path of a socket has room for about a hundred bytes.
    with tempfile.TemporaryDirectory(prefix="habus-") as path:
        yield Folder(Path(path))


@contextmanager
def process(*command, **how):
    """Start it, and stop it at the end as a service manager does; it must end in order."""
    with subprocess.Popen(command, text=True, **how) as running:
        try:
            yield running
        finally:
            running.terminate()
            code = running.wait(20)
    assert code == 0, command


class Pipeline:
    """`habus run`, as the README starts it, for a simulated home."""

    def __init__(self, clone):
        self.clone = clone
        self.redis_url = f"unix://{clone.path}/data/redis/redis.sock"
        self.url = f"http://127.0.0.1:{clone.port}"
        self.exports = "\n".join(line for line in SECOND_TERMINAL.splitlines() if "export" in line)

    def sh(self, line):
        """Type this in the second terminal."""
        return self.clone.sh(f"{self.exports}\n{line}")

    def watch(self, line):
        """Type this, and Ctrl-C when it has said something."""
        with subprocess.Popen(
            ["sh", "-ec", f"{self.exports}\nexec {line}"],
            cwd=self.clone.path,
            env=self.clone.environment,
            stdout=subprocess.PIPE,
            text=True,
        ) as running:
            said = running.stdout.readline()
            running.send_signal(signal.SIGINT)
            running.communicate(timeout=20)
        assert running.returncode == 130, line
        return said

    def ask(self, method, path, headers=None, body=None):
        token = (self.clone.path / "data/admin_token").read_text().strip()
        headers = headers or {"Authorization": f"Bearer {token}"}
        return httpx.request(method, self.url + path, headers=headers, content=body)

    def is_healthy(self):
        try:
            return self.ask("GET", "/api/v1/health").json()["status"] == "healthy"
        except (OSError, httpx.TransportError):
            return False

    def letter_id(self):
        """Id of a dead letter; something is buried for it."""
        return asyncio.run(self._buried())

    async def _buried(self):
        async with connect(self.redis_url) as bus:
            await bus.command("HINCRBY", bus.keys.ledger, "captured", 1)
            await bus.command("XADD", bus.keys.inbox, "*", "hello", "world")

            async def newest():
                return await DeadLetters(bus).page(Filter(), 1)

            await until(newest, what="a dead letter")
            return (await newest())[0].id


@pytest.fixture(scope="module")
def pipeline(clone):
    require("redis-server", "valkey-server")
    simulator = (sys.executable, "-m", "ingest.simulator", "--demo")
    with process(*simulator, cwd=ROOT, stdout=subprocess.PIPE) as home:
        told = json.loads(home.stdout.readline())
        script = RUN_IT
        for name, value in (
            ("HA_WEBSOCKET_URL", told["http_url"]),
            ("HA_ACCESS_TOKEN", told["token"]),
        ):
            script, count = re.subn(f"(?m)^export {name}=.*$", f"export {name}={value}", script)
            assert count == 1, name
        # The shell gives way to the last command, so that a signal reaches it.
        script, count = re.subn(r"\n(.*habus run)\n$", r"\nexec \1\n", script)
        assert count == 1
        with (
            (clone.path / "run.log").open("w") as log,
            process(
                *("sh", "-ec", script),
                cwd=clone.path,
                env=clone.environment,
                stdout=log,
                stderr=log,
            ),
        ):
            living = Pipeline(clone)
            asyncio.run(until(living.is_healthy, within_s=30, what="a healthy pipeline"))
            yield living


def test_the_demo_runs_and_ends_by_itself(clone):
    """`make demo` needs nothing; with DEMO_SECONDS it ends and prints a ledger that balances."""
    assert "make demo" in TRY_IT.splitlines()
    [line] = [line for line in inline() if line.startswith("DEMO_SECONDS")]
    out = clone.sh(line.replace("20", "3"))
    assert "http://127.0.0.1:" in out
    assert "token" in out
    assert "The first event is in the sink" in out
    assert re.search(r"unaccounted +0 ", out)


def test_every_target_exists_and_a_bare_make_lists_it(clone):
    """What the README makes can be made, and `make` alone names it."""
    targets = {word for words in words_after("make") for word in words}
    assert {"demo", "test", "install", "check", "bench", "settings"} <= targets
    assert "make" in DEVELOPMENT.splitlines()
    listed = re.findall(r"(?m)^  make (\S+)", clone.sh("make"))
    assert targets <= set(listed)
    for target in targets:
        assert clone.sh(f"make --dry-run {target}")


def test_make_settings_makes_the_table_anew(clone):
    """`make settings` writes the table of settings, and nothing else."""
    readme = clone.path / "README.md"
    readme.write_text(README.replace("| `BUS_PREFIX` |", "| `OLD` |"))
    clone.sh("make settings")
    assert readme.read_text() == README


def test_the_second_terminal_finds_what_the_first_started(pipeline):
    """Its commands run as they stand, and the doctor sees all four workers, and no fault."""
    out = pipeline.sh(SECOND_TERMINAL)
    assert "all four are alive" in out
    assert "✗" not in out
    assert pipeline.sh("echo $ADMIN_TOKEN").strip()


@pytest.mark.parametrize(
    ("task", "line"), [(task, line) for task, line in tasks() if line.startswith("habus ")]
)
def test_an_everyday_task_with_habus(pipeline, task, line):
    """Each command of the table runs as it stands, and ends well."""
    assert task
    if "ID" in line:
        line = line.replace("ID", pipeline.letter_id())
    run = pipeline.watch if line.startswith("habus tail") else pipeline.sh
    assert run(line).strip()


@pytest.mark.parametrize(
    ("task", "line"), [(task, line) for task, line in tasks() if line.startswith("redis-cli ")]
)
def test_an_everyday_task_with_redis_cli(pipeline, task, line):
    """Each question to Redis finds what the README says."""
    assert task
    binary = require("redis-cli", "valkey-cli")
    pipeline.letter_id()
    socket = f"{pipeline.clone.path}/data/redis/redis.sock"
    pipeline.clone.program(".venv/path/redis-cli", f"{binary} -s {socket}")
    assert ANSWERS[line.removeprefix("redis-cli ")] in pipeline.sh(line)


@pytest.mark.parametrize(
    ("task", "line"), [(task, line) for task, line in tasks() if line.startswith("curl ")]
)
def test_an_everyday_task_with_curl(pipeline, task, line):
    """Each request is in the OpenAPI document, and is answered."""
    assert task
    told = json.loads(pipeline.sh(line))
    method, headers, body, url = "GET", {}, None, ""
    while told:
        match told.pop(0):
            case "-s":
                pass
            case "-X":
                method = told.pop(0)
            case "-H":
                name, _, value = told.pop(0).partition(": ")
                headers[name] = value
            case "-d":
                body = told.pop(0)
            case word:
                assert not word.startswith("-"), word
                url = urlsplit(word)
    assert (url.netloc, "Authorization" in headers) == ("127.0.0.1:8003", True)
    path = url.path.replace("/ID", "/{letter_id}")
    described = pipeline.ask("GET", "/openapi.json").json()["paths"]
    assert method.lower() in described[path]
    asked = f"{url.path}?{url.query}"
    if "/ID" in asked:
        asked = asked.replace("ID", pipeline.letter_id())
    answer = pipeline.ask(method, asked, headers, body)
    assert answer.is_success, answer.text
    assert answer.text


def test_what_was_handed_in_is_stored(pipeline):
    """An event that is handed in as the README says comes to rest in the sink."""
    [line] = [line for _, line in tasks() if line.startswith("habus send")]
    pipeline.sh(line)
    path = pipeline.clone.path / "data/events.db"

    def stored():
        with closing(sqlite3.connect(path)) as db:
            return db.execute(
                "SELECT value FROM events WHERE entity_id = 'sensor.hand_made' AND source = 'api'"
            ).fetchall()

    asyncio.run(until(stored, what="the event in the sink"))
    assert (21.5,) in stored()


def test_every_route_is_answered(pipeline):
    """A path that the README names leads somewhere."""
    routes = {code for code in inline() if re.fullmatch(r"/[a-z]+", code)}
    assert "/docs" in routes
    for route in routes:
        assert pipeline.ask("GET", route).is_success, route


def test_every_file_is_where_the_readme_says(pipeline):
    """Files of the repository are there from the start, those of `data/` once habus runs."""
    named = {code for code in inline() if re.fullmatch(r"\.?[\w-]+/[\w./-]*|\.\w[\w.]*", code)}
    assert {".ci/run", ".env", "data/"} <= named
    for line in typed():
        named |= {word for word in re.findall(r"[\w./-]+", line) if word.startswith("data/")}
    named |= {link for link in re.findall(r"\]\(([^)#]+)", README) if "://" not in link}
    for name in named - MADE_BY_THE_READER:
        assert (pipeline.clone.path / name).exists(), name
    assert (ROOT / ".env.example").exists()


def measured(minute, area, value):
    """A temperature, so many minutes ago."""
    when = datetime.now(UTC) - timedelta(minutes=minute)
    return state_change(
        f"sensor.{area.lower()}_{minute}",
        state=value,
        time=when.isoformat(timespec="microseconds"),
        device_class="temperature",
        area=area,
    )


async def test_the_query_in_influxql_is_answered(tmp_path):
    """A real InfluxDB answers it with the mean of each room, from what our sink wrote."""
    events = [
        measured(5, "Kitchen", "20"),
        measured(5, "Attic", "10"),
        measured(60 * 30, "Kitchen", "99"),  # longer ago than a day
        state_change("sensor.power", state="7", time=datetime.now(UTC).isoformat()),
    ]
    query = "\n".join(line for line in blocks("sql")[0].splitlines() if not line.startswith("--"))
    async with InfluxDBServer(tmp_path) as server:
        settings = SinkSettings(
            store_sink="influxdb", influxdb_url=server.url, influxdb_token="a-token"
        )
        async with open_sink(settings) as sink:
            await sink.check()
            await sink.write([sink.point(event) for event in events])
        rows = await server.ask(query)
    means = {(row["area"], row["mean"]) for row in rows if row["mean"] is not None}
    assert means == {("Kitchen", 20.0), ("Attic", 10.0)}

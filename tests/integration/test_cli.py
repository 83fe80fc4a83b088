"""What `habus` prints, and with which exit code it ends."""

import asyncio
import io
import json
import os
import socket
import stat
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest

from admin.cli import healthcheck, main, many
from admin.config import Settings
from common.bus import ENRICH, Backfills, Consumer, DeadLetters, Filter, Streams, connect
from common.errors import PointRejected
from common.heartbeat import Heartbeat
from common.ledger import read_ledger
from common.sink.sqlite import SqliteSink
from tests.fakes.bus import flat_of
from tests.fakes.enriched import state_change
from tests.fakes.servers import free_port
from tests.fakes.until import until

pytestmark = pytest.mark.integration


class Given(io.StringIO):
    """What is typed."""


@pytest.fixture
def environment(monkeypatch, tmp_path, redis_url):
    """The settings of a stack whose sink is a file."""
    monkeypatch.chdir(tmp_path)
    for name, value in {
        "REDIS_URL": redis_url,
        "STORE_SINK": "sqlite",
        "STORE_SQLITE_PATH": str(tmp_path / "events.db"),
        "COLUMNS": "200",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("HA_ACCESS_TOKEN", raising=False)
    asyncio.run(made(tmp_path / "events.db"))
    return redis_url


async def made(file):
    """Make the sink, as store does at its start."""
    sink = SqliteSink(file)
    await sink.check()
    await sink.close()


@pytest.fixture
def habus(environment, monkeypatch, capsys):
    """Call `habus` with words; returns exit code, what it printed, and what it complained."""
    assert environment

    def call(*words, given=""):
        monkeypatch.setattr(sys, "argv", ["habus", *words])
        monkeypatch.setattr(sys, "stdin", Given(given))
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        assert "Traceback" not in printed.err
        return ended.value.code or 0, printed.out, printed.err

    return call


def on_bus(redis_url, work):
    """Do something with the bus, outside of any command."""

    async def call():
        async with connect(redis_url) as bus:
            return await work(bus)

    return asyncio.run(call())


async def bury_all(bus):
    """Bury what waits in the inbox as `enrich` would; return the ids of all letters."""
    stop = asyncio.Event()
    if (await read_ledger(bus)).in_flight:
        consumer = Consumer(bus, ENRICH, "me")
        async for batch in consumer.batches(stop):
            causes = [PointRejected("too hot", "too_large")] * len(batch)
            await consumer.forward(batch, causes, bus.keys.dead, stop)
            break
    return [letter.id for letter in await DeadLetters(bus).page(Filter(), 100)]


def test_help_names_every_command(habus):
    """Every REST action has its twin here."""
    _, out, _ = habus("--help")
    for name in ("run", "demo", "doctor", "healthcheck", "streams", "tail", "events", "send",
                 "ledger", "dead", "preview", "audit", "config", "version",
                 "entities", "way", "backfill"):  # fmt: skip
        assert name in out
    _, out, _ = habus("dead", "--help")
    for name in (
        "list",
        "groups",
        "show",
        "dry-run",
        "replay",
        "purge",
        "export",
        "jobs",
        "cancel",
    ):
        assert name in out


def test_help_loads_nothing_heavy():
    """What only a command needs is loaded by that command: the help comes at once."""
    code = (
        "import sys\n"
        "import admin.cli\n"
        "heavy = {'redis', 'fastapi', 'pydantic', 'uvicorn', 'influxdb_client', 'structlog'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parents[2],
        env={},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("asked", ["version", "--version"])
def test_version(habus, asked):
    """Its version and nothing else."""
    code, out, _ = habus(asked)
    assert code == 0
    assert out.strip().count(".") == 2


def test_sending_an_event(habus, environment):
    """An event stands in the inbox, from a shortcut, from JSON, or from standard input."""
    code, out, _ = habus("send", "-e", "sensor.kitchen", "-s", "21.4", "--json")
    assert code == 0
    said = json.loads(out)
    habus("send", "my_event", "--data", '{"a": 1}', "--time", "2026-11-20T15:44:33Z")
    habus("send", "my_event", "--data", "-", given='{"a": 2}')
    entries = on_bus(environment, lambda bus: Streams(bus).newest("inbox", 10))[::-1]
    assert entries[0].entry_id == said["stream_id"]
    assert entries[0].fields["id"] == said["event_id"]
    assert [json.loads(entry.fields["data"])["data"].get("a") for entry in entries] == [None, 1, 2]


@pytest.mark.parametrize(
    "words",
    [
        ("send",),
        ("send", "-e", "sensor.kitchen"),
        ("send", "--data", "{"),
        ("send", "--data", "[]"),
        ("send", "--data", "{}"),
        ("send", "my_event", "-e", "a.b", "--data", "{}"),
        ("send", "my_event", "-s", "1", "--data", "{}"),
        ("events", "--since", "1h", "--until", "2h"),
        ("send", "-e", "a.b", "-s", "1", "--time", "noon"),
        ("tail", "kitchen"),
        ("healthcheck", "kitchen"),
        ("events", "--since", "yesterday"),
        ("preview", "-e", "sensor.kitchen"),
        ("dead", "dry-run", "1-1"),
        ("dead", "cancel", "1-00000000"),
        ("dead", "export", "-o", "/nowhere/at/all"),
        ("dead", "show", "x"),
        ("dead", "list", "--stage", "attic"),
        ("way", "attic", "1-1"),
        ("way", "raw", "x"),
        ("way", "raw", "5"),
        ("way", "raw", "99999999999999999999999-1"),
        ("way", "raw", "1-1"),
        ("dead", "show", "1-1"),
        ("dead", "replay", "1-1"),
        ("dead", "replay"),
        ("dead", "purge"),
        ("dead", "purge", "1-1", "--all"),
        ("dead", "purge", "1-1"),
        ("dead", "replay", "--all", "--data", "{}"),
        ("dead", "replay", "1-1", "--data", "{"),
        ("dead", "replay", "1-1", "--data", "[]"),
    ],
)
def test_a_mistake_is_one_sentence(habus, words):
    """What cannot be done is said in one line, without traceback, and not with exit code 0."""
    code, out, err = habus(*words)
    assert code in {1, 2}
    assert out == ""
    assert err.startswith("habus: ")
    assert len(err.splitlines()) == 1


def test_redis_away_is_one_sentence(habus, monkeypatch):
    """Every command that asks Redis says so; the healthcheck cannot tell, and so lets it live."""
    monkeypatch.setenv("REDIS_URL", f"redis://127.0.0.1:{free_port()}/0")
    for words in (("ledger",), ("streams",), ("dead", "list"), ("tail",)):
        code, _, err = habus(*words)
        assert code == 1
        assert err.startswith("habus: Redis does not answer")
    code, out, _ = habus("healthcheck", "store")
    assert code == 0
    assert out.startswith("cannot tell")
    code, out, _ = habus("doctor")
    assert code == 1
    assert "✗ redis" in out


@pytest.mark.usefixtures("environment")
def test_what_nobody_reads_is_no_error_to_speak_of():
    """A pipe that was closed ends in silence, a full disk in one sentence; both fail."""
    command = [sys.executable, "-c", "from admin.cli import main; main()"]
    for words in (("doctor",), ("streams",), ("streams", "--json"), ("dead", "export")):
        with Path("/dev/full").open("w") as full:
            ended = subprocess.run(
                [*command, *words], stdout=full, stderr=subprocess.PIPE, text=True, check=False
            )
        if words != ("dead", "export"):  # which has nothing to write here
            assert ended.returncode == 1
            assert ended.stderr.splitlines()[-1].startswith("habus: cannot write what was asked")
        assert "Traceback" not in ended.stderr
        reader, writer = os.pipe()
        os.close(reader)
        with os.fdopen(writer, "w") as closed:
            ended = subprocess.run(
                [*command, *words], stdout=closed, stderr=subprocess.PIPE, text=True, check=False
            )
        assert "Traceback" not in ended.stderr
        assert "BrokenPipe" not in ended.stderr
    plain = os.environ | {"PYTHONIOENCODING": "ascii"}
    ended = subprocess.run(
        [*command, "streams"], env=plain, capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("stream")


def test_wrong_settings_have_an_exit_code_of_their_own(habus, monkeypatch):
    """All wrong settings stand in one message; exit code 2."""
    monkeypatch.setenv("ADMIN_PORT", "none")
    monkeypatch.setenv("STORE_SINK", "none")
    code, _, err = habus("ledger")
    assert code == 2
    assert "ADMIN_PORT" in err
    assert "STORE_SINK" in err


def test_the_doctor_names_wrong_settings_of_every_room(habus, monkeypatch):
    """Who asks what is wrong hears of all rooms at once, and not of a token that is missing."""
    monkeypatch.setenv("ADMIN_PORT", "none")
    monkeypatch.setenv("HA_EXCLUDE_DOMAINS", "sen.sor")
    monkeypatch.setenv("STORE_LINGER_MS", "soon")
    monkeypatch.delenv("HA_ACCESS_TOKEN", raising=False)
    code, out, err = habus("doctor")
    assert (code, out) == (2, "")
    for name in ("ADMIN_PORT", "HA_EXCLUDE_DOMAINS", "STORE_LINGER_MS"):
        assert err.count(f"{name}: ") == 1
    assert "HA_ACCESS_TOKEN" not in err


def test_the_ledger_as_a_table_and_as_json(habus, environment):
    """The same numbers for people and for programs; unaccounted events are exit code 1."""
    habus("send", "my_event", "--data", "{}")
    code, out, _ = habus("ledger")
    assert code == 0
    assert "must be 0" in out
    _, out, _ = habus("ledger", "--json")
    assert json.loads(out)["captured"] == json.loads(out)["in_flight"] == 1
    on_bus(environment, lambda bus: bus.command("HINCRBY", bus.keys.ledger, "captured", 1))
    assert habus("ledger")[0] == 1


def test_the_redis_of_habus_run_is_hinted_at(habus, monkeypatch, tmp_path):
    """Who left REDIS_URL out is told where the Redis is that `habus run` started here."""
    monkeypatch.setenv("REDIS_URL", f"redis://127.0.0.1:{free_port()}/0")
    sock = tmp_path / "data" / "redis" / "redis.sock"
    sock.parent.mkdir(parents=True)
    advice = f"export REDIS_URL=unix://{sock}"
    with monkeypatch.context() as left_out:  # the default port may be somebody's
        left_out.setattr(Settings, "origins", lambda _: {"REDIS_URL": "default"})
        assert advice not in habus("ledger")[2]
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(sock))
        assert advice in habus("ledger")[2]
        assert advice in habus("doctor")[1]
    assert advice not in habus("ledger")[2]


def test_the_ledger_names_the_gaps(habus, environment):
    """Times of which events are missing stand below the table, and in the JSON as in REST."""
    assert "missing from" not in habus("ledger")[1]
    gap = {"from": "2026-11-20T15:00:00+00:00", "to": "2026-11-20T15:05:00+00:00",
           "reason": "not_recorded", "entities": ["sensor.a", "sensor.b"]}  # fmt: skip
    for written in (json.dumps([gap, {**gap, "entities": "all"}]), "{", "7", "[1]"):
        on_bus(
            environment,
            lambda bus, text=written: bus.write_hash(bus.keys.watermark, {"gaps": text}),
        )
        told = json.loads(habus("ledger", "--json")[1])["gaps"]
        assert told == ([gap, {**gap, "entities": "all"}] if "reason" in written else [])
        out = habus("ledger")[1]
        assert ("not_recorded  sensor.a, sensor.b" in out) is bool(told)
        assert ("not_recorded  all" in out) is bool(told)
        assert ("\n\nmissing from" in out) is bool(told)


def test_streams_as_a_table_and_as_json(habus, environment):
    """Each stream and each group has its row."""
    habus("send", "my_event", "--data", "{}")
    on_bus(environment, bury_all)
    _, out, _ = habus("streams")
    assert "ha:inbox" in out
    assert "me (0)" in out
    _, out, _ = habus("streams", "--json")
    assert [stream["name"] for stream in json.loads(out)["streams"]] == [
        *("raw", "inbox", "enriched", "dead")
    ]


def test_tail_prints_the_newest_entries(habus):
    """Oldest first, with the state, of one entity if that is asked; as JSON a line each."""
    for state in ("1", "2", "3"):
        habus("send", "-e", "sensor.a", "-s", state)
    habus("send", "my_event", "--data", "{}")
    _, out, _ = habus("tail", "inbox", "--no-follow", "-n", "3")
    assert [line.split()[2:] for line in out.splitlines()] == [
        *(["sensor.a", "2"], ["sensor.a", "3"], ["my_event"])
    ]
    _, out, _ = habus("tail", "inbox", "--no-follow", "-e", "sensor.a", "--json")
    assert [json.loads(line)["entity_id"] for line in out.splitlines()] == ["sensor.a"] * 3
    assert habus("tail", "inbox", "--no-follow", "-n", "0")[1] == ""


def test_tail_follows(environment):
    """What comes later is printed when it comes; Ctrl-C is no error to explain."""
    # Where the tests run in the background, SIGINT is ignored, and children inherit that.
    heed = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            f"{heed}; from admin.cli import main; main()",
            "tail",
            "inbox",
            "-n1",
        ],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )

    async def add(bus):
        await bus.command("XADD", bus.keys.inbox, "*", "type", "first")

    on_bus(environment, add)
    seen = process.stdout.readline()
    on_bus(environment, lambda bus: bus.command("XADD", bus.keys.inbox, "*", "type", "second"))
    seen += process.stdout.readline()
    process.send_signal(2)
    out, err = process.communicate(timeout=20)
    assert [line.split()[-1] for line in (seen + out).splitlines()] == ["first", "second"]
    assert process.returncode == 130
    assert err == ""


def test_stored_events(habus, tmp_path):
    """The sink is asked directly; the newest comes first."""
    sink = SqliteSink(tmp_path / "events.db")

    async def keep():
        events = [
            state_change(state=str(n), time=f"2026-11-20T15:00:0{n}.000000+00:00") for n in (1, 2)
        ]
        await sink.write([sink.point(event) for event in events])
        await sink.close()

    asyncio.run(keep())
    since = ("--since", "2026-11-20T00:00:00Z", "--until", "2026-11-21T00:00:00Z")
    _, out, _ = habus("events", *since, "--json")
    assert [event["state"] for event in json.loads(out)["events"]] == ["2", "1"]
    _, out, _ = habus("events", *since, "-n", "1")
    assert len(out.splitlines()) == 2
    _, out, _ = habus("events", "-e", "sensor.other", *since)
    assert out.startswith("Nothing of sensor.other was stored from 2026-11-20T00:00:00")
    ends = ("--since", "0001-01-01T00:00:00+14:00", "--until", "9999-12-31T23:59:59-14:00")
    assert len(habus("events", *ends)[1].splitlines()) == 3
    (tmp_path / "events.db").unlink()
    code, out, err = habus("events", *since)
    assert (code, out) == (1, "")
    assert "there is no such file" in err
    assert not (tmp_path / "events.db").exists()


def test_entities_and_the_way_of_an_event(habus, environment):
    """What is known of each entity is listed, and an event is found on every stream."""
    assert habus("entities")[1] == "Nothing is known of such an entity.\n"
    habus("send", "-e", "sensor.kitchen", "-s", "21.5")
    [inbox] = on_bus(environment, lambda bus: Streams(bus).newest("inbox", 1))
    code, out, _ = habus("way", "inbox", inbox.entry_id)
    assert (code, out.split()[0]) == (0, "sensor.kitchen,")
    assert f"redis-cli XRANGE ha:inbox {inbox.entry_id} {inbox.entry_id}" in out
    assert "Not found on" in out
    way = json.loads(habus("way", "inbox", inbox.entry_id, "--json")[1])
    assert [station["stream"] for station in way["stations"]] == ["inbox"]

    event = state_change("sensor.a", "21.5")

    async def enriched(bus):
        fields = {"id": event.id, "type": event.type, "entity_id": event.entity_id}
        fields |= {"time": event.time, "source": "live", "home": "home", "data": event.data}
        await bus.command("XADD", bus.keys.enriched, "*", *flat_of(fields))

    on_bus(environment, enriched)
    _, out, _ = habus("entities", "--text", "SENSOR.A")
    assert out.splitlines()[1].startswith("sensor.a")
    [known] = json.loads(habus("entities", "--json", "--limit", "1")[1])["entities"]
    assert known["entity_id"] == "sensor.a"


def test_dead_letters_from_a_terminal(habus, environment):
    """List, show, replay and purge do what their twins do, and count it."""
    assert habus("dead", "list")[1] == "There is no dead letter.\n"
    for state in ("1", "2", "3"):
        habus("send", "-e", "sensor.a", "-s", state)
    newest, middle, oldest = on_bus(environment, bury_all)
    _, out, _ = habus("dead", "list", "--reason", "too_large")
    assert [line.split()[0] for line in out.splitlines()] == ["id", newest, middle, oldest]
    _, out, _ = habus("dead", "list", "--since", "1h", "--until", "1h", "--json")
    assert json.loads(out) == {"dead_letters": []}
    assert habus("dead", "list", "--reason", "other")[1] == "No dead letter matches.\n"
    _, out, _ = habus("doctor")
    assert "3 dead letters wait for somebody" in out
    _, out, _ = habus("dead", "show", newest)
    assert "too hot" in out
    assert "\n\ndetail:\n" in out
    assert '"event_type": "state_changed"' in out
    assert "detail:" in out.splitlines()
    _, out, _ = habus("dead", "show", newest, "--json")
    assert json.loads(out)["reason"] == "too_large"

    assert habus("dead", "replay", newest)[1] == "Replayed 1.\n"
    edited = '{"event_type": "my_event"}'
    assert habus("dead", "replay", middle, "--data", edited)[1] == "Replayed 1.\n"
    assert (
        habus("dead", "replay", newest, middle, "--yes")[1] == "Replayed 0. 2 were gone already.\n"
    )
    assert habus("dead", "purge", "--text", "nowhere", "--yes")[1] == "Purged 0.\n"
    assert habus("dead", "purge", "--reason", "too_large", "--yes")[1] == "Purged 1.\n"
    on_bus(environment, bury_all)
    assert habus("dead", "replay", "--all", "--yes")[1] == "Replayed 2.\n"
    ledger = on_bus(environment, read_ledger)
    assert (ledger.dead, ledger.replayed, ledger.purged, ledger.unaccounted) == (0, 4, 1, 0)


def test_what_a_letter_holds_can_be_copied(habus, environment):
    """`data` is JSON as it is, to be edited and handed in; a traceback has its lines."""
    data = '{"event_type": "x", "data": {"path": "C:\\\\new\\\\n", "text": "a\\nb"}}'
    fields = {
        "v": "1",
        "id": "i",
        "type": "x",
        "time": "2026-11-20T15:44:33Z",
        "data": data,
        "dead_stage": "enrich",
        "dead_reason": "step_failed",
        "dead_error": "no",
        "dead_detail": '{"step": "unit", "traceback": "first\\nC:\\\\new"}',
    }
    letter_id = on_bus(
        environment, lambda bus: bus.command("XADD", bus.keys.dead, "*", *flat_of(fields))
    ).decode()
    out = habus("dead", "show", letter_id)[1]
    shown = out.partition("\ndata:\n")[2]
    assert json.JSONDecoder().raw_decode(shown.strip())[0] == json.loads(data)
    assert '"traceback": "first\n' in out
    assert 'C:\\\\new"' in out


def test_causes_jobs_and_the_audit_from_a_terminal(habus, environment, tmp_path):
    """Groups say what to do; a dry run writes nothing; jobs, exports and the audit are shown."""
    assert habus("dead", "jobs")[1] == "There was no replay of many letters.\n"
    assert habus("audit")[1] == "Nobody did anything to dead letters.\n"
    assert habus("dead", "groups")[1] == "There is no dead letter.\n"
    for state in ("1", "2", "3"):
        habus("send", "-e", "sensor.a", "-s", state)
    newest, *_ = on_bus(environment, bury_all)
    _, out, _ = habus("dead", "groups", "--reason", "too_large")
    assert out.splitlines()[1].split()[1:4] == ["3", "enrich", "too_large"]
    assert "\n\ntoo_large: " in out
    assert "HA_EXCLUDE_ENTITIES" in out
    [group] = json.loads(habus("dead", "groups", "--json")[1])["groups"]
    assert (group["count"], group["error"]) == (3, "too hot")

    code, out, _ = habus("dead", "dry-run", newest)
    assert code == 0
    assert "sensor,area=none" in out
    code, out, _ = habus("dead", "dry-run", newest, "--data", '{"event_type": "x", "data": 1}')
    assert code == 1
    assert "It would fall at enrich: malformed_event" in out
    out = habus("preview", "-e", "sensor.a", "-s", "21.5")[1]
    assert "\nIt would be written as:\nsensor,area=none," in out
    code, out, _ = habus("preview", "-e", "sensor.a", "-s", "21.5", "--json")
    assert (code, json.loads(out)["event"]["data"]["value"]) == (0, 21.5)

    assert habus("dead", "replay", "--all", "--dry-run")[1] == "3 dead letters match.\n"
    assert habus("dead", "purge", "--all", "--dry-run")[1] == "3 dead letters match.\n"
    assert len(habus("dead", "export")[1].splitlines()) == 3
    file = tmp_path / "letters.csv"
    assert "Exported 3" in habus("dead", "export", "--csv", "-o", str(file))[1]
    assert file.read_text().startswith('"id","at"')
    assert stat.S_IMODE(file.stat().st_mode) == 0o600

    _, out, _ = habus("dead", "replay", "--entity", "sensor.a", "--yes", "--rate", "500", "--json")
    job = json.loads(out)
    assert (job["state"], job["replayed"], job["rate"]) == ("done", 3, 500.0)
    assert job["job"] in habus("dead", "jobs")[1]
    assert json.loads(habus("dead", "jobs", "--json")[1])["replays"][0]["job"] == job["job"]
    assert "It had ended already (done)" in habus("dead", "cancel", job["job"])[1]
    _, out, _ = habus("audit")
    assert [line.split()[4] for line in out.splitlines()[1:]] == [
        *("replay_done", "replay_many", "export", "export"),
    ]
    [line, *_] = json.loads(habus("audit", "--json", "-n", "1")[1])["audit"]
    assert (line["via"], line["count"]) == ("cli", 3)
    newest, *_ = on_bus(environment, bury_all)
    assert json.loads(habus("dead", "replay", newest, "--json")[1])["stream"] == "ha:inbox"
    newest, *_ = on_bus(environment, bury_all)
    assert "replay by" in habus("dead", "show", newest)[1]
    out = habus("dead", "purge", newest, "--yes", "--json")[1]
    assert json.loads(out) == {"count": 1, "purged": 1, "dry_run": False}


def test_expired_letters_stay_where_they_are(habus, environment):
    """A replay of many leaves them and says so; one by itself is refused; --force replays."""

    async def expire(bus):
        for number in range(2):
            told = ("dead_reason", "outside_retention", "dead_stage", "store", "id", str(number))
            await bus.command("XADD", bus.keys.dead, "*", *told)
        return [letter.id for letter in await DeadLetters(bus).page(Filter(), 10)]

    newest, _ = on_bus(environment, expire)
    assert "2 are expired" in habus("dead", "replay", "--all", "--yes")[1]
    code, _, err = habus("dead", "replay", newest)
    assert code == 1
    assert "retention" in err
    assert habus("dead", "replay", "--all", "--yes", "--force")[1] == "Replayed 2.\n"


def test_the_settings_from_a_terminal(habus):
    """Each with its value and where it came from."""
    assert "REDIS_URL" in habus("config")[1]
    found = {one["name"]: one for one in json.loads(habus("config", "--json")[1])["settings"]}
    assert found["REDIS_URL"]["origin"] == "environment"


def test_many_letters_want_a_yes(habus, environment):
    """Without a terminal and without --yes nothing is replayed or purged, and the count is told."""
    for state in ("1", "2"):
        habus("send", "-e", "sensor.a", "-s", state)
    on_bus(environment, bury_all)
    for word in ("replay", "purge"):
        code, _, err = habus("dead", word, "--all")
        assert code == 2
        assert "2 dead letters" in err
        assert "--yes" in err
    assert on_bus(environment, read_ledger).dead == 2


def test_healthcheck_answers_in_time_though_a_name_is_looked_up_for_ever(habus, monkeypatch):
    """A thread that hangs in the system's resolver keeps neither the answer nor the process."""
    hanging = threading.Event()
    monkeypatch.setattr(healthcheck, "with_bus", lambda _: hanging.wait(30))
    monkeypatch.setattr(healthcheck, "ANSWERS_WITHIN_S", 0.05)

    def end(code):
        raise SystemExit(code)

    monkeypatch.setattr(healthcheck.os, "_exit", end)
    code, out, _ = habus("healthcheck", "store")
    hanging.set()
    assert code == 0
    assert "cannot tell" in out


def test_healthcheck_by_heartbeat(habus, environment, monkeypatch):
    """A worker of this host, or of our name, that beats is alive; another one does not count."""
    assert habus("healthcheck", "store")[0] == 1
    on_bus(environment, lambda bus: Heartbeat(bus, "store", "attic").beat())
    code, out, _ = habus("healthcheck", "store")
    assert code == 0
    assert "alive" in out
    assert habus("healthcheck", "enrich")[0] == 1
    monkeypatch.setattr(socket, "gethostname", lambda: "another-host")
    assert habus("healthcheck", "store")[0] == 1
    monkeypatch.setenv("WORKER_NAME", "attic")
    assert habus("healthcheck", "store")[0] == 0
    on_bus(
        environment,
        lambda bus: bus.command(
            "HSET", bus.keys.worker("store", "attic"), "beat", "2026-01-01T00:00:00+00:00"
        ),
    )
    assert habus("healthcheck", "store")[0] == 1


def test_the_doctor_says_what_to_change(habus):
    """Each dependency has its line; a Redis that keeps nothing is wrong, with the remedy."""
    code, out, _ = habus("doctor")
    assert code == 1
    assert "✗ redis" in out
    assert "appendonly yes" in out
    assert "✓ sink" in out
    assert "! home_assistant HA_ACCESS_TOKEN is not set here" in out
    assert "! workers" in out
    _, out, _ = habus("doctor", "--json")
    assert {finding["about"] for finding in json.loads(out)["findings"]} == {
        *("redis", "clock", "ledger", "workers", "sink", "home_assistant", "disk")
    }


def test_the_doctor_sees_all_workers(habus, environment):
    """When all four beat there is nothing to start."""
    for stage in ("ingest", "enrich", "store", "admin"):
        on_bus(environment, lambda bus, stage=stage: Heartbeat(bus, stage, "me").beat())
    assert "✓ workers" in habus("doctor")[1]


def test_on_a_terminal_a_person_is_asked(habus, environment, monkeypatch):
    """The question names the count; no means no, and yes means all of them."""
    for state in ("1", "2"):
        habus("send", "-e", "sensor.a", "-s", state)
    on_bus(environment, bury_all)
    monkeypatch.setattr(many, "AT_ONCE", 1)
    monkeypatch.setattr(Given, "isatty", lambda _: True)
    code, out, _ = habus("dead", "purge", "--all", given="n\n")
    assert code == 1
    assert "Delete for good 2 dead letters?" in out
    assert on_bus(environment, read_ledger).dead == 2
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    assert "Replayed 2." in habus("dead", "replay", "--all", given="y\n")[1]
    assert "captured" in habus("ledger")[1]


def test_the_doctor_sees_a_sink_that_is_away(habus, monkeypatch, tmp_path):
    """The sink's own words say what to change."""
    (tmp_path / "no-folder").write_text("")
    monkeypatch.setenv("STORE_SQLITE_PATH", str(tmp_path / "no-folder" / "events.db"))
    code, out, _ = habus("doctor")
    assert code == 1
    assert "✗ sink" in out


def test_a_backfill_is_asked_for_shown_and_cancelled(habus):
    """What is asked for stands in Redis for ingest; it can be looked at and taken back."""
    code, out, _ = habus("backfill", "--from", "2h", "-e", "sensor.*_power", "--no-wait", "--json")
    job = json.loads(out)
    assert (code, job["state"], job["entities"]) == (0, "waiting", ["sensor.*_power"])
    [listed] = json.loads(habus("backfill", "--list", "--json")[1])["backfills"]
    assert listed == job
    assert job["id"] in habus("backfill", "--list")[1]
    code, out, _ = habus("backfill", "--cancel", job["id"])
    assert code == 0
    assert "forgotten" in out
    assert habus("backfill", "--cancel", job["id"])[0] == 1
    assert "Nobody" in habus("backfill", "--list")[1]


@pytest.mark.parametrize(
    "words",
    [("--to", "1h"), ("--from", "1h", "--to", "2h"), ("--from", "2h", "--entity", "kitchen")],
)
def test_a_backfill_of_nothing_is_told(habus, words):
    """A missing beginning, an end before it, and what is no entity are one sentence each."""
    code, _, error = habus("backfill", *words)
    assert code == 2
    assert error.startswith("habus: --")


def test_a_backfill_says_what_it_waits_for(habus, redis_url):
    """Nobody looks at a bar that does not move without knowing why."""

    async def ingest(bus):
        jobs = Backfills(bus)

        async def asked():
            return len(await jobs.list()) == 2

        await until(asked, what="the second request")
        for job in await jobs.list():
            await jobs.note(msgspec.structs.replace(job, state="done"))

    def said_of_a_second():
        for job in json.loads(habus("backfill", "--list", "--json")[1])["backfills"]:
            habus("backfill", "--cancel", job["id"])
        habus("backfill", "--from", "3h", "--no-wait")
        with ThreadPoolExecutor(1) as threads:
            working = threads.submit(on_bus, redis_url, ingest)
            said = habus("backfill", "--from", "2h")[2]
            working.result(10)
        return said

    assert "no ingest is alive" in said_of_a_second()
    on_bus(redis_url, lambda bus: Heartbeat(bus, "ingest", "attic").beat())
    assert "done before it: 1" in said_of_a_second()


def test_a_backfill_is_watched_to_its_end(habus, redis_url):
    """The command waits until ingest says that it is done, and names what stays missing."""

    async def ingest(bus):
        jobs = Backfills(bus)
        await until(jobs.list, what="the request")
        found = await jobs.list()
        gap = {"from": "a", "to": "b", "reason": "not_recorded", "entities": ["sensor.a"]}
        done = msgspec.structs.replace(found[0], state="done", recovered=1234, gaps=(gap,))
        assert await jobs.note(done)

    with ThreadPoolExecutor(1) as threads:
        working = threads.submit(on_bus, redis_url, ingest)
        code, out, _ = habus("backfill", "--from", "2h")
        working.result(10)
    assert code == 1
    assert "1,234 events" in out or "1234 events" in out
    assert "Missing from a to b (not_recorded): sensor.a" in out

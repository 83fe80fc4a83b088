import json
import logging
import sys
import warnings
from pathlib import Path

import pytest

import common.logs
from common.config import SinkSettings, WorkerSettings
from common.logs import OncePerMinute, hide, logger, start_logging
from common.redaction import Redaction


class Settings(WorkerSettings, SinkSettings):
    """What the lines below depend on."""


@pytest.fixture(autouse=True)
def _nothing_is_secret_yet(monkeypatch):
    monkeypatch.setattr(common.logs, "_redaction", Redaction())


def as_json(capsys):
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def fail(message):
    raise ValueError(message)


def start(**settings):
    start_logging(Settings(**settings))


def test_a_line_for_people(capsys):
    """On the console a line has its time, level, sentence, file and what varies."""
    start_logging()
    logger("ingest.connection").info("connected", host="attic")
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("Z [info     ] connected [ingest.connection] host=attic")
    assert "\x1b" not in line


def test_colours_on_a_terminal_only(capsys, monkeypatch):
    """A person at a terminal sees colours, a file holds none."""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    start_logging()
    logger("a").info("connected")
    assert "\x1b[" in capsys.readouterr().err


def test_a_line_for_machines(capsys):
    """With LOG_FORMAT=json each line is one object, letters beyond ASCII included."""
    start(log_format="json")
    logger("store").warning("wrote", entity="sensor.küche", count=3)
    (line,) = as_json(capsys)
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "wrote",
        "level": "warning",
        "logger": "store",
        "entity": "sensor.küche",
        "count": 3,
    }


def test_level(capsys):
    """Nothing below LOG_LEVEL is said, by nobody."""
    start(log_format="json", log_level="warning")
    logger("a").info("no")
    logging.getLogger("b").info("no")
    logger("a").warning("yes")
    assert [line["event"] for line in as_json(capsys)] == ["yes"]


def test_libraries_speak_through_the_same_pipeline(capsys):
    """Lines of the standard library's logging, of uvicorn and of warnings have the same shape."""
    logging.getLogger("uvicorn").addHandler(logging.StreamHandler())
    logging.getLogger("uvicorn").propagate = False
    logging.getLogger("uvicorn.error").setLevel(logging.NOTSET)  # other tests serve with uvicorn
    start(log_format="json")
    logging.getLogger("uvicorn.error").info("served %d", 3)
    logging.getLogger("websockets.client").info("we say that ourselves")
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        warnings.warn("old", UserWarning, stacklevel=1)
    served, old = as_json(capsys)
    assert (served["event"], served["logger"], served["level"]) == (
        "served 3",
        "uvicorn.error",
        "info",
    )
    assert "UserWarning: old" in old["event"]


def test_started_twice_says_each_line_once(capsys):
    """All workers in one process share one pipeline; the last settings hold."""
    start(log_format="json")
    start(log_format="console")
    start(log_format="json")
    logger("a").info("once")
    assert len(as_json(capsys)) == 1


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_no_secret_in_any_line(capsys, log_format):
    """Secrets of the settings, told later, or standing where secrets stand never show."""
    start(
        log_format=log_format,
        influxdb_token="canary-of-influxdb",
        redis_url="redis://u:canary%20of-redis@h/0",
    )
    hide("canary-of-admin")
    log = logger("a")
    log.info("canary-of-influxdb and canary of-redis", token="canary-of-x", x=["canary-of-admin"])
    logging.getLogger("uvicorn").info("GET /?token=%s", "canary-of-y")
    try:
        fail("Authorization: Bearer canary-of-z, canary-of-admin")
    except ValueError:
        log.exception("failed at redis://u:canary%20of-redis@h/0")
        logging.getLogger("uvicorn").exception("failed")
    said = capsys.readouterr().err
    assert "canary" not in said
    assert said.count("ValueError: Authorization: Bearer ***, ***") == 2


def test_no_forged_line(capsys):
    """A text from outside stays in its line; a traceback's lines are marked as such."""
    start()
    try:
        fail("bad\n2026-11-21T07:00:00Z [info] forged\x1b[2J")
    except ValueError:
        logger("a").exception("name\n2026-11-21T07:00:00Z [info] forged", unit="°\r")
    first, *traceback = capsys.readouterr().err.splitlines()
    assert r"name\n2026-11-21T07:00:00Z [info] forged" in first
    assert traceback
    assert all(line.startswith("  | ") for line in traceback)


def test_unknown_settings_are_said_at_start(capsys):
    """What is misspelt in the environment is a warning at start."""
    environ = {"LOG_FORMAT": "json", "LOG_LEVELS": "debug"}
    start_logging(WorkerSettings.from_environment(environ, Path("/nowhere/.env")))
    (line,) = as_json(capsys)
    assert line["level"] == "warning"
    assert line["event"] == "LOG_LEVELS is no setting of habus; did you mean LOG_LEVEL?"


def test_a_closed_stderr_stops_nobody(monkeypatch):
    """A log that can no longer be written is no reason to stop the worker."""
    start_logging()
    monkeypatch.setattr(logging, "raiseExceptions", False)

    class Closed:
        def write(self, _):
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stderr", Closed())
    logger("a").info("said to nobody")


class Said:
    """A clock and a list of what was said."""

    def __init__(self):
        self.now = 1000.0
        self.lines = []
        self.once = OncePerMinute(self.say, lambda: self.now)

    def say(self, sentence, **fields):
        self.lines.append((sentence, fields))


def test_once_per_minute_counts_what_it_keeps_back():
    """The first is said at once, the others are counted, a minute later the count is said."""
    said = Said()
    for _ in range(4):
        said.once("redis", "waiting for Redis", tries=1)
    said.once("influxdb", "waiting for InfluxDB")
    said.now += 59.9
    said.once("redis", "waiting for Redis", tries=2)
    said.now += 0.1
    said.once("redis", "waiting for Redis", tries=3)
    said.once("redis", "waiting for Redis", tries=4)
    said.now += 60
    said.once("influxdb", "waiting for InfluxDB")
    assert said.lines == [
        ("waiting for Redis", {"tries": 1}),
        ("waiting for InfluxDB", {}),
        ("waiting for Redis", {"tries": 3, "times": 5}),
        ("waiting for InfluxDB", {}),
    ]


def test_once_per_minute_forgets_the_oldest_cause():
    """Endless new causes do not fill the memory."""
    said = Said()
    for cause in range(1001):
        said.once(str(cause), "refused")
    said.once("1000", "refused")
    assert len(said.lines) == 1001
    said.once("0", "refused")
    assert len(said.lines) == 1002

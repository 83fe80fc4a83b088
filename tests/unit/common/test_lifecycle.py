import asyncio
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import common.lifecycle
from common.errors import (
    BusUnavailable,
    MalformedEvent,
    SinkUnavailable,
)
from common.lifecycle import Stopped, patiently, pause
from tests.fakes.until import until

WORKER = """
import asyncio, signal, sys
from common.errors import *
from common.lifecycle import Stopped, patiently, run

signal.signal(signal.SIGHUP, signal.{hangup})  # whoever runs the tests may ignore it

def ready():
    sys.stdout.write("ready\\n")
    sys.stdout.flush()

async def main(stop):
{body}

sys.exit(run(main))
"""


class Worker:
    """A worker in a process of its own."""

    def __init__(self, body, hangup="SIG_DFL"):
        body = textwrap.indent(textwrap.dedent(body), "    ")
        program = WORKER.format(body=body, hangup=hangup)
        self.process = subprocess.Popen(
            [sys.executable, "-c", program],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def ready(self):
        if self.process.stdout.readline() != "ready\n":
            pytest.fail(f"the worker did not get ready: {self.end()}")
        return self

    def kill(self, signum):
        self.process.send_signal(signum)
        return self

    def end(self):
        """Exit code, and what it said on stderr."""
        try:
            _, said = self.process.communicate(timeout=60)
        finally:
            self.process.kill()
            self.process.wait()
        return self.process.returncode, said


def test_a_worker_that_is_done_ends_with_0():
    """A main that returns is a normal end, and says nothing."""
    assert Worker("await asyncio.sleep(0)").end() == (0, "")


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_asks_to_stop(signum):
    """The first signal sets the event; what the worker does then is finished."""
    worker = Worker("ready(); await stop.wait(); sys.stderr.write('flushed\\n')")
    code, said = worker.ready().kill(signum).end()
    assert code == 0
    assert f"stopping [common.lifecycle] signal={signum.name}" in said.replace("  ", "")
    assert said.endswith("flushed\n")


def test_a_hangup_that_is_ignored_stays_ignored():
    """With nohup a worker outlives the terminal."""
    worker = Worker("ready(); await stop.wait()", hangup="SIG_IGN")
    code, said = worker.ready().kill(signal.SIGHUP).kill(signal.SIGTERM).end()
    assert code == 0
    assert "SIGHUP" not in said


def test_a_second_signal_cancels():
    """A worker that does not come to an end is cancelled, and its exit code says by what."""
    worker = Worker(
        """
        ready()
        await stop.wait()
        ready()
        try:
            await asyncio.sleep(3600)
        finally:
            sys.stderr.write("cleaned up\\n")
        """
    )
    code, said = worker.ready().kill(signal.SIGTERM).ready().kill(signal.SIGINT).end()
    assert code == 128 + signal.SIGINT
    assert "cleaned up\n" in said
    assert "stopping at once" in said
    assert "Traceback" not in said


def test_what_does_not_end_in_time_is_left_to_the_next_start():
    """A worker that hangs after the first signal is cancelled, cleans up, and ends with 0."""
    worker = Worker(
        """
        import common.lifecycle
        common.lifecycle.ORDERLY_S = 0.1
        ready()
        try:
            await asyncio.Event().wait()
        finally:
            sys.stderr.write("cleaned up\\n")
        """
    )
    code, said = worker.ready().kill(signal.SIGTERM).end()
    assert code == 0
    assert "cleaned up\n" in said
    assert "leaving it to the next start" in said


def test_a_fatal_error_is_one_sentence():
    """What only a person can mend is said in one line without a traceback; exit code 1."""
    code, said = Worker("raise AuthenticationFailed('Home Assistant refuses the token')").end()
    assert code == 1
    assert said.count("\n") == 1
    assert "[critical ] Home Assistant refuses the token" in said


def test_an_invalid_setting_is_its_message():
    """Wrong settings are listed as they are, line by line; exit code 2."""
    code, said = Worker("raise InvalidSetting('wrong:\\n  A: a\\n  B: b')").end()
    assert (code, said) == (2, "wrong:\n  A: a\n  B: b\n")


@pytest.mark.parametrize(
    ("error", "code"),
    [("SpoolInUse('in use')", 1), ("InvalidSetting('wrong')", 2), ("Stopped('while')", 0)],
)
def test_errors_within_a_task_group_count_as_themselves(error, code):
    """An error that a TaskGroup wraps, even twice, ends the worker as it would alone."""
    worker = Worker(
        f"""
        async def fail():
            raise {error}
        async with asyncio.TaskGroup() as group:
            async with asyncio.TaskGroup() as inner:
                inner.create_task(fail())
        """
    )
    ended, said = worker.end()
    assert ended == code
    assert "Traceback" not in said


@pytest.mark.parametrize("body", ["1 / 0", "raise asyncio.CancelledError('by nobody')"])
def test_what_nobody_foresaw_is_a_defect(body):
    """A defect shows its traceback once and ends with 70, so that a supervisor starts anew."""
    code, said = Worker(body).end()
    assert code == 70
    assert "stopped by a defect of habus" in said
    assert said.count("Traceback") == 1


def test_stopping_while_waiting_is_a_normal_end():
    """A worker that waits for Redis stops at once when asked to, with exit code 0."""
    worker = Worker(
        """
        async def away():
            raise BusUnavailable("connection refused")
        await patiently(away, stop, "Redis", lambda error: ready())
        """
    )
    code, said = worker.ready().kill(signal.SIGTERM).end()
    assert code == 0
    assert "waiting for Redis" in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("environ", "code", "words"),
    [
        ({"LOG_FORMAT": "json", "BUS_PREFIX": "x"}, 0, '"event": "begins with x"'),
        ({"LOG_LEVEL": "error"}, 0, ""),
        ({"LOG_LEVELS": "debug", "LOG_LEVEL": "warning"}, 0, "did you mean LOG_LEVEL?"),
        ({"LOG_LEVEL": "loud"}, 2, "LOG_LEVEL: 'loud' is unknown"),
    ],
)
def test_run_worker(tmp_path, environ, code, words):
    """A room starts with its settings read, logs as they say, or says what is wrong with them."""
    program = """
import sys
from common.config import WorkerSettings
from common.lifecycle import run_worker
from common.logs import logger

async def main(settings, stop):
    logger("a").info(f"begins with {settings.bus_prefix}")

sys.exit(run_worker(WorkerSettings, main))
"""
    ended = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | environ | {"PYTHONPATH": str(Path.cwd())},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == code
    assert words in ended.stderr
    assert ended.stderr.count(words or "\n") == bool(words)


class Away:
    """Something that is away for some calls; counts them."""

    def __init__(self, *errors):
        self.errors = list(errors)
        self.calls = 0

    async def __call__(self):
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return "answer"


@pytest.fixture
def waits(monkeypatch):
    """The seconds that were waited, without waiting them."""
    found = []

    async def pause(_, seconds):
        found.append(seconds)

    monkeypatch.setattr(common.lifecycle, "pause", pause)
    return found


@pytest.fixture
def said(monkeypatch):
    """What was logged: level, sentence, fields."""
    found = []

    class Log:
        def warning(self, sentence, **fields):
            found.append(("warning", sentence, fields))

        def info(self, sentence, **fields):
            found.append(("info", sentence, fields))

    monkeypatch.setattr(common.lifecycle, "log", Log())
    return found


async def test_an_answer_comes_at_once(waits, said):
    """Where nothing is wrong, nothing is waited, said or shown."""
    shown = []
    assert await patiently(Away(), asyncio.Event(), "Redis", shown.append) == "answer"
    assert (waits, said, shown) == ([], [], [])


async def test_waits_longer_each_time(waits, said):
    """Waits begin below 0.2 s, grow, and never exceed 10 s."""
    away = Away(*[BusUnavailable("refused")] * 20)
    assert await patiently(away, asyncio.Event(), "Redis") == "answer"
    assert away.calls == 21
    assert len(waits) == 20
    for n, seconds in enumerate(waits):
        longest = min(0.2 * 2**n, 10)
        assert longest / 2 <= seconds <= longest
    assert said[0][0] == "warning"


@pytest.mark.usefixtures("waits")
async def test_says_and_shows_what_it_waits_for(said):
    """One warning, however often it tries; the heartbeat sees each error, and that it is over."""
    errors = [BusUnavailable("refused"), BusUnavailable("loading")]
    shown = []
    await patiently(Away(*errors), asyncio.Event(), "Redis", shown.append)
    assert shown == [*errors, None]
    (warning, over) = said
    assert warning == ("warning", "waiting for Redis", {"error": errors[0], "tries": 1})
    assert over[:2] == ("info", "waiting is over")
    assert over[2]["waited_for"] == "Redis"


async def test_of_those_who_wait_for_the_same_one_says_so(said):
    """Four workers in one process are one warning and one end; another error is another line."""
    stop = asyncio.Event()
    one_error, other = BusUnavailable("refused"), BusUnavailable("full")
    waiting = [patiently(Away(error), stop, "Redis") for error in (one_error, one_error, other)]
    waiting.append(patiently(Away(one_error), stop, "InfluxDB"))
    await asyncio.gather(*waiting)
    warnings = [(line, fields["error"]) for level, line, fields in said if level == "warning"]
    assert warnings == [
        *(("waiting for Redis", one_error), ("waiting for Redis", other)),
        ("waiting for InfluxDB", one_error),
    ]
    assert len(said) == 2 * len(warnings)
    await patiently(Away(one_error), stop, "Redis")
    assert len(said) == 2 * len(warnings) + 2, "the next wait is silent"


@pytest.mark.parametrize(("asked", "waited"), [(7.0, 7.0), (3600.0, 300.0)])
async def test_waits_as_long_as_it_is_asked_to(waits, asked, waited):
    """A server's Retry-After is honoured, up to five minutes."""
    away = Away(SinkUnavailable("busy", retry_after=asked))
    await patiently(away, asyncio.Event(), "InfluxDB")
    assert waits == [waited]


async def test_retry_after_never_shortens_a_wait(waits):
    """A server that asks for no wait at all is still not hammered."""
    await patiently(Away(SinkUnavailable("busy", retry_after=0)), asyncio.Event(), "InfluxDB")
    assert waits[0] >= 0.1


async def test_other_errors_go_through(waits):
    """Waiting is for what passes; anything else is the caller's, also after a wait."""
    away = Away(BusUnavailable("refused"), MalformedEvent("no JSON"))
    with pytest.raises(MalformedEvent):
        await patiently(away, asyncio.Event(), "Redis")
    assert len(waits) == 1


@pytest.mark.usefixtures("waits", "said")
async def test_a_refusal_ends_a_wait():
    """Who refuses an event is there again, and the heartbeat says so."""
    error, shown = BusUnavailable("refused"), []
    with pytest.raises(MalformedEvent):
        await patiently(
            Away(error, MalformedEvent("no JSON")), asyncio.Event(), "Redis", shown.append
        )
    assert shown == [error, None]


async def test_stop_ends_a_wait():
    """A stop during a wait raises Stopped, and nothing is tried again."""
    stop = asyncio.Event()
    away = Away(SinkUnavailable("busy", retry_after=300))
    waiting = asyncio.create_task(patiently(away, stop, "InfluxDB"))
    await until(lambda: away.calls == 1)
    stop.set()
    with pytest.raises(Stopped, match="while waiting for InfluxDB"):
        await asyncio.wait_for(waiting, 10)
    assert away.calls == 1


async def test_a_cancelled_wait_is_cancelled():
    """Who cancels a waiting worker is not waited for."""
    away = Away(SinkUnavailable("busy", retry_after=300))
    waiting = asyncio.create_task(patiently(away, asyncio.Event(), "InfluxDB"))
    await until(lambda: away.calls == 1)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


@pytest.mark.parametrize("seconds", [0, -1.0, 0.001])
async def test_a_pause_ends_by_itself(seconds):
    """A pause of no length, or of one that lies behind us, is none; another ends."""
    await asyncio.wait_for(pause(asyncio.Event(), seconds), 10)


async def test_a_pause_ends_at_a_stop():
    """Who pauses is gone as soon as it shall stop."""
    stop = asyncio.Event()
    pausing = asyncio.create_task(pause(stop, 3600))
    asyncio.get_running_loop().call_soon(stop.set)
    await asyncio.wait_for(pausing, 10)


async def test_a_stop_that_came_before_does_not_keep_from_trying():
    """What is flushed on the way out is still tried once."""
    stop = asyncio.Event()
    stop.set()
    assert await patiently(Away(), stop, "InfluxDB") == "answer"
    away = Away(BusUnavailable("refused"))
    with pytest.raises(Stopped):
        await patiently(away, stop, "Redis")
    assert away.calls == 1


async def test_waits_for_real():
    """With the real clock a short outage is sat out."""
    assert await patiently(Away(BusUnavailable("refused")), asyncio.Event(), "Redis") == "answer"

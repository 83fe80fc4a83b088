"""Build the image and start the real compose.yaml with podman, once: `make containers`.

Needs podman, root, and the base images; where they are missing it runs the program that
`STAND_INS` names, which shall provide them, or says what to do. Ends with 0 when all held.
"""

import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import pairwise
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
PROJECT = "habus-containers-test"
WORKERS = ("ingest", "enrich", "store", "admin")
EVERYTHING = ("redis", "influxdb", "simulator", *WORKERS)
BASES = ("docker.io/library/python:3.13-slim", "docker.io/library/redis:8")
IMAGE = "habus:local"
HOME_TOKEN = "simulated-long-lived-access-token"
ENDS_WITHIN_S = 10.0

# runc and these limits work on every machine that we know; crun and the defaults do not.
PODMAN = ("podman", "--runtime", "runc")
BUILD = ("--isolation=chroot", "--format=docker")
RUN = "--ulimit nofile=1024:1024 --ulimit nproc=1000:1000"

HARDENED = r"""
import errno, os
from pathlib import Path
status = dict(line.split(":\t") for line in Path("/proc/self/status").read_text().splitlines())
assert os.getuid() == 1000 and os.getgid() == 1000, (os.getuid(), os.getgid())
assert int(status["CapBnd"], 16) == 0, status["CapBnd"]
assert status["NoNewPrivs"] == "1", status["NoNewPrivs"]
Path("/tmp/may").write_text("be written")
for folder in ("/", "/habus", "/opt/habus"):
    try:
        Path(folder, "may-not").write_text("be written")
    except OSError as error:
        assert error.errno == errno.EROFS, error
    else:
        raise AssertionError(f"{folder} can be written")
"""


class Failed(Exception):
    """Something did not hold."""


def say(line: str) -> None:
    """Tell how far it is."""
    sys.stdout.write(f"containers: {line}\n")
    sys.stdout.flush()


def call(*command: str, **environment: str) -> str:
    """Run a command to its end and return what it printed.

    Raises:
        Failed: When it failed; with what it said.
    """
    done = subprocess.run(
        command,
        cwd=REPOSITORY,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    if done.returncode:
        raise Failed(f"{' '.join(command)}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
    return done.stdout


def until(true: Callable[[], object], what: str, within_s: float = 60.0) -> None:
    """Wait until something is true; it is asked four times a second.

    Raises:
        Failed: When it is still false, or still raises, after so many seconds.
    """
    deadline = time.monotonic() + within_s
    why: object = "no"
    while time.monotonic() < deadline:
        try:
            if true():
                return
        except (OSError, ValueError) as error:
            why = error
        time.sleep(0.25)
    raise Failed(f"not within {within_s:.0f} s: {what} ({why})")


def prepare() -> None:
    """See to it that podman and the base images are there.

    Raises:
        Failed: When they are not; says what to do.
    """

    def missing() -> list[str]:
        tools = [tool for tool in ("podman", "runc") if shutil.which(tool) is None]
        return tools or [
            base
            for base in BASES
            if subprocess.run(["podman", "image", "exists", base], check=False).returncode
        ]

    if os.geteuid():
        raise Failed("this needs root: sudo make containers")
    if (program := os.environ.get("STAND_INS")) and missing():
        say(f"{program} provides {', '.join(missing())}")
        call(program)
    if lacking := missing():
        raise Failed(
            f"there is no {', no '.join(lacking)}; install podman and runc and pull the images,"
            " or let STAND_INS name a program that provides them"
        )


class Stack:
    """The containers of compose.yaml with the override beside this file.

    Args:
        folder: For `.env`, which is made from `.env.example`.
    """

    def __init__(self, folder: Path) -> None:
        self.secret = secrets.token_hex(32)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.env = folder / ".env"
        text = (REPOSITORY / ".env.example").read_text(encoding="utf-8")
        for name, value in {
            "HA_WEBSOCKET_URL": "http://simulator:8123",
            "HA_ACCESS_TOKEN": HOME_TOKEN,
            "INFLUXDB_TOKEN": self.secret,
            "ADMIN_PORT": str(self.port),
        }.items():
            text = re.sub(rf"^#?{name}=.*$", f"{name}={value}", text, flags=re.MULTILINE)
        self.env.write_text(text, encoding="utf-8")
        self.token = ""

    def compose(self, *command: str) -> str:
        """Call podman-compose; what the environment says of our settings is not handed on."""
        files = ("compose.yaml", "tests/containers/compose.override.yaml")
        return call(
            *(sys.executable, "-m", "podman_compose", "--project-name", PROJECT),
            *(part for file in files for part in ("--file", file)),
            *("--env-file", str(self.env), "--podman-args=" + " ".join(PODMAN[1:])),
            *(f"--podman-run-args={RUN}", *command),
        )

    def name(self, service: str) -> str:
        """Name of a service's container."""
        return f"{PROJECT}-{service}" if service in WORKERS else f"{PROJECT}_{service}_1"

    def podman(self, command: str, service: str, *more: str) -> str:
        """Call podman on a service's container."""
        return call(*PODMAN, command, self.name(service), *more)

    def inspect(self, service: str, key: str) -> str:
        """One value of what podman knows about a container."""
        return call(*PODMAN, "inspect", "--format", f"{{{{{key}}}}}", self.name(service)).strip()

    def redis(self, *command: str) -> str:
        """Ask Redis."""
        return self.podman("exec", "redis", "redis-cli", *command).strip()

    def admin(self, path: str) -> dict[str, object]:
        """Ask admin, over the published port."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}")
        request.add_header("Authorization", f"Bearer {self.token}")
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - http
            return json.load(answer)

    def ledger(self) -> dict[str, int]:
        """The ledger, from admin."""
        return self.admin("/api/v1/ledger")  # type: ignore[return-value] # its counters

    def influxdb(self) -> dict[str, int]:
        """What stands in the fake InfluxDB: points, writes, doubles."""
        code = "import urllib.request as r; print(r.urlopen('http://127.0.0.1:8086/fake/counts').read().decode())"
        return json.loads(self.podman("exec", "influxdb", "python", "-c", code))

    def logs(self, service: str) -> str:
        """All that a service said."""
        done = subprocess.run(
            [*PODMAN, "logs", self.name(service)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return done.stdout

    def is_healthy(self, service: str) -> bool:
        """Whether the healthcheck of compose.yaml says so, once; Docker asks three times."""
        command = [*PODMAN, "healthcheck", "run", self.name(service)]
        return not subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode

    def goes_on(self, what: str) -> None:
        """Wait until 100 more events are stored.

        Raises:
            Failed: When they are not.
        """
        before = self.ledger()["stored"]
        until(lambda: self.ledger()["stored"] >= before + 100, f"events are stored {what}")


@contextmanager
def stack() -> Iterator[Stack]:
    """Start everything; tear it down, whatever happens."""
    with tempfile.TemporaryDirectory() as folder:
        running = Stack(Path(folder))
        try:
            say("starting compose.yaml")
            running.compose("up", "--detach", "--no-build")
            yield running
        except BaseException:
            for service in EVERYTHING:
                say(f"--- {service} said\n{running.logs(service)[-2000:]}")
            raise
        finally:
            say("tearing down")
            running.compose("down", "--volumes", "--timeout", "10")
    left = call("podman", "ps", "--all", "--quiet", "--filter", f"name={PROJECT}")
    left += call("podman", "volume", "ls", "--quiet", "--filter", f"name={PROJECT}")
    if left:
        raise Failed(f"left behind: {left}")


def events_arrive(it: Stack) -> None:
    """Admin answers where it is published, with the token it made; events are in the sink."""
    until(lambda: it.admin("/healthz"), "admin answers")
    it.token = it.podman("exec", "admin", "cat", "data/admin_token").strip()
    it.goes_on("after the start")
    events = it.admin("/api/v1/events?limit=5")["events"]
    if not events or not it.influxdb()["points"]:
        raise Failed(f"admin finds no events in the sink: {events}, {it.influxdb()}")
    until(lambda: it.admin("/api/v1/health")["status"] == "healthy", "health is healthy")


def redis_keeps(it: Stack) -> None:
    """Redis has everything on the disk before it answers, and evicts nothing."""
    for name, wanted in {
        "appendonly": "yes",
        "appendfsync": "always",
        "save": "",
        "maxmemory": str(512 * 2**20),
        "maxmemory-policy": "noeviction",
    }.items():
        said = it.redis("CONFIG", "GET", name).partition("\n")[2]
        if said != wanted:
            raise Failed(f"Redis's {name} is {said!r}, not {wanted!r}")


def are_healthy(it: Stack) -> None:
    """Each healthcheck of compose.yaml says yes, and that of the image finds the stage itself."""
    for service in (*WORKERS, "redis", "influxdb"):
        until(partial(it.is_healthy, service), f"{service} is healthy", within_s=120)
    image = json.loads(call(*PODMAN, "image", "inspect", IMAGE))[0]
    kind, command = image["Healthcheck"]["Test"]
    for worker in WORKERS:
        said = it.podman("exec", worker, "sh", "-c", command)
        if kind != "CMD-SHELL" or f"{worker} is alive" not in said:
            raise Failed(f"the image's healthcheck in {worker} said {said!r}")


def the_doctor_is_content(it: Stack) -> None:
    """`habus doctor` in admin's container finds nothing to change, and hears ingest."""
    said = it.podman("exec", "admin", "habus", "doctor")
    if "ingest is connected to it" not in said or "! " in said:
        raise Failed(f"the doctor is not content:\n{said}")


def a_hanging_worker_is_seen(it: Stack) -> None:
    """A worker that stands still becomes unhealthy, and healthy again when it goes on."""

    def beats() -> bool:
        return it.redis("EXISTS", "ha:worker:enrich:enrich") == "1"

    # Process 1 of a container cannot be stopped from within; it is one of the host's as well.
    pid = int(it.inspect("enrich", ".State.Pid"))
    os.kill(pid, signal.SIGSTOP)
    try:
        until(lambda: not beats(), "a worker that hangs has no heartbeat")
        if it.is_healthy("enrich"):
            raise Failed("enrich hangs, and its healthcheck says it is healthy")
    finally:
        os.kill(pid, signal.SIGCONT)
    until(beats, "the heartbeat is back")
    until(partial(it.is_healthy, "enrich"), "enrich is healthy again", within_s=120)


def are_hardened(it: Stack) -> None:
    """No worker is root, has a capability, may gain one, or may write outside /tmp and its data."""
    for worker in WORKERS:
        it.podman("exec", worker, "python", "-c", HARDENED)


def stop_in_order(it: Stack) -> None:
    """Each worker ends within ten seconds with exit code 0, and goes on when it is started."""
    for worker in WORKERS:
        began = time.monotonic()
        call(*PODMAN, "stop", "--time", "30", it.name(worker))
        took_s = time.monotonic() - began
        code = it.inspect(worker, ".State.ExitCode")
        say(f"{worker} stopped in {took_s:.1f} s with exit code {code}")
        if code != "0" or took_s > ENDS_WITHIN_S:
            raise Failed(f"{worker} ended with {code} after {took_s:.1f} s")
        it.podman("start", worker)
        if worker == "admin":
            until(lambda: it.admin("/readyz"), "admin answers again")
        it.goes_on(f"after a restart of {worker}")


def are_made_anew(it: Stack) -> None:
    """Workers that were killed and made anew keep their names, and finish what they had begun."""
    for worker in ("ingest", "enrich", "store"):
        it.podman("kill", worker)
        it.podman("rm", worker)
    it.compose("up", "--detach", "--no-build", "--no-recreate", *WORKERS)
    it.goes_on("after the workers were made anew")
    for stream, group in {"ha:raw": "enrich", "ha:enriched": "store"}.items():
        said = it.redis("XINFO", "CONSUMERS", stream, group).split("\n")
        names = {value for key, value in pairwise(said) if key == "name"}
        if names != {group}:
            raise Failed(f"group {group} has the consumers {names}")


def nothing_is_lost(it: Stack) -> None:
    """When the home is silent, every event that came stands in the sink, and none is missed."""
    call(*PODMAN, "stop", "--time", "5", it.name("simulator"))
    until(lambda: it.ledger()["in_flight"] == 0, "everything is settled")
    ledger, influxdb = it.ledger(), it.influxdb()
    say(f"ledger {ledger}")
    say(f"sink {influxdb}")
    if ledger["unaccounted"] or ledger["dead"] or ledger["lost"]:
        raise Failed("the ledger does not balance")
    if ledger["stored"] != influxdb["points"]:
        raise Failed("the ledger and the sink disagree")


def keep_silent(it: Stack) -> None:
    """No log holds a secret or a traceback."""
    for worker in WORKERS:
        said = it.logs(worker)
        for secret in (HOME_TOKEN, it.secret, it.token, "Traceback"):
            if secret in said:
                raise Failed(f"{worker} said {'a secret' if secret != 'Traceback' else secret}")


CHECKS: Sequence[Callable[[Stack], None]] = (
    *(events_arrive, redis_keeps, are_healthy, the_doctor_is_content),
    *(a_hanging_worker_is_seen, are_hardened),
    *(stop_in_order, are_made_anew, nothing_is_lost, keep_silent),
)


def main() -> int:
    """Do it all; return the exit code."""
    try:
        prepare()
        say("building the image")
        call(*PODMAN, "build", *BUILD, "--tag", IMAGE, ".")
        with stack() as running:
            for check in CHECKS:
                say(f"{check.__doc__}")
                check(running)
    except Failed as failure:
        if failure.__context__:  # the tearing down failed too
            say(f"FAILED: {failure.__context__}")
        say(f"FAILED: {failure}")
        return 1
    say("all held")
    return 0


if __name__ == "__main__":
    sys.exit(main())

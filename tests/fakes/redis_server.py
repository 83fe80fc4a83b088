"""A private, real Redis for one test, which can be stopped, killed and paused."""

import atexit
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Self

from tests.fakes.servers import free_port, require


class RedisServer:
    """A `redis-server` or `valkey-server` on a free loopback port that survives restarts.

    Args:
        folder: Where its data and its log lie.
        options: Redis settings, `maxmemory="64mb"`; `_` stands for `-`. Without any: no
            persistence, for speed. `appendonly="yes", appendfsync="always"` as in production.
    """

    def __init__(self, folder: Path, **options: str) -> None:
        self.binary = require("redis-server", "valkey-server")
        self.port = free_port()
        self.log = folder / "redis.log"
        settings = {
            "bind": "127.0.0.1",
            "port": str(self.port),
            "dir": str(folder),
            "save": "",
            "appendonly": "no",
            "daemonize": "no",
            **{name.replace("_", "-"): value for name, value in options.items()},
        }
        self._command = [self.binary]
        for name, value in settings.items():
            self._command += [f"--{name}", value]
        self._process: subprocess.Popen[bytes] | None = None
        self._paused = False

    @property
    def url(self) -> str:
        """URL of database 0."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int:
        """Process id; only while it runs."""
        assert self._process is not None, "the server does not run"
        return self._process.pid

    def start(self, within_s: float = 10.0) -> Self:
        """Start it and return when it answers PONG, thus has loaded its data."""
        assert self._process is None, "the server runs already"
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)
        atexit.register(self.kill)
        deadline = time.monotonic() + within_s
        while self.ask("PING") != "+PONG":
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise AssertionError(f"redis did not start:\n{self.log.read_text()[-2000:]}")
            time.sleep(0.01)
        return self

    def stop(self, within_s: float = 10.0) -> None:
        """Ask it to end as a service manager does (SIGTERM); it writes what it must."""
        if self._process is not None:
            self.resume()
            self._process.terminate()
            try:
                self._process.wait(within_s)
            finally:
                self.kill()

    def kill(self) -> None:
        """End it as a crash does (SIGKILL); what it had not written is lost."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
            self._paused = False
        atexit.unregister(self.kill)

    def pause(self) -> None:
        """Let it hang (SIGSTOP): connections stay open, nothing is answered."""
        assert self._process is not None, "the server does not run"
        self._process.send_signal(signal.SIGSTOP)
        self._paused = True

    def resume(self) -> None:
        """Let it go on after `pause`."""
        if self._process is not None and self._paused:
            self._process.send_signal(signal.SIGCONT)
            self._paused = False

    def ask(self, *words: str, timeout_s: float = 5.0) -> str:
        """Send one command and return the first line of the reply; empty when nobody answers."""
        request = f"*{len(words)}\r\n" + "".join(f"${len(w.encode())}\r\n{w}\r\n" for w in words)
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout_s) as connection:
                connection.sendall(request.encode())
                with connection.makefile("rb") as reply:
                    return reply.readline().decode().rstrip()
        except OSError:
            return ""

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

"""A process that a fault may kill, pause, stop and start again."""

import asyncio
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path


class Child:
    """A child process; its output is appended to files of its name.

    Args:
        name: Of its files.
        command: Program and arguments.
        environment: All its variables.
        folder: Its working directory, and where `name.out` and `name.log` lie.
    """

    def __init__(
        self, name: str, command: Sequence[str], environment: Mapping[str, str], folder: Path
    ) -> None:
        self.name = name
        self.command = list(command)
        self.environment = dict(environment)
        self.folder = folder
        self.out, self.log = folder / f"{name}.out", folder / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; it must not run."""
        assert not self.runs, f"{self.name} runs already"
        with self.out.open("ab") as out, self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command, env=self.environment, cwd=self.folder, stdout=out, stderr=log
            )

    @property
    def runs(self) -> bool:
        """Whether it is alive."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """Process id of the last start."""
        assert self._process is not None, f"{self.name} was never started"
        return self._process.pid

    @property
    def code(self) -> int | None:
        """How it ended: exit code, or minus the signal; None while it runs."""
        return None if self._process is None else self._process.poll()

    def kill(self) -> None:
        """End it as a crash does (SIGKILL); it must run."""
        assert self.runs, f"{self.name} had ended by itself with {self.code}:\n{self.last_words()}"
        self._send(signal.SIGKILL)
        assert self._process is not None
        self._process.wait()

    def pause(self) -> None:
        """Let it hang (SIGSTOP)."""
        self._send(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on (SIGCONT)."""
        self._send(signal.SIGCONT)

    def ask_to_stop(self) -> None:
        """Ask it to end (SIGTERM)."""
        self._send(signal.SIGTERM)

    async def ended(self, within_s: float = 20.0) -> int:
        """Wait until it has ended; its exit code, or minus the signal."""
        assert self._process is not None, f"{self.name} was never started"
        try:
            return await asyncio.to_thread(self._process.wait, within_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} did not end within {within_s:g} s") from None

    async def first_line(self, within_s: float = 30.0) -> str:
        """Wait until it has said something on stdout; the first line of its last start."""
        deadline = asyncio.get_running_loop().time() + within_s
        while not (said := self.out.read_text()).endswith("\n"):
            assert self.runs, f"{self.name} ended with {self.code}:\n{self.last_words()}"
            assert asyncio.get_running_loop().time() < deadline, f"{self.name} does not start"
            await asyncio.sleep(0.02)
        return said.splitlines()[0]

    def last_words(self) -> str:
        """The end of its log."""
        return self.log.read_text(errors="replace")[-3000:] if self.log.exists() else ""

    async def end(self) -> None:
        """End it in whatever state it is: SIGTERM, and after 10 s SIGKILL."""
        if self._process is None:
            return
        if self.runs:
            self.resume()
            self.ask_to_stop()
            try:
                await asyncio.to_thread(self._process.wait, 10)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._process.wait()

    def _send(self, signum: signal.Signals) -> None:
        assert self._process is not None, f"{self.name} was never started"
        if self.runs:
            os.kill(self._process.pid, signum)

"""Processes of the bench: started, looked at through /proc, and ended by their id."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self

TICKS = os.sysconf("SC_CLK_TCK")
"""Parts of a second in which Linux counts CPU time."""


class Failed(Exception):
    """The bench cannot go on; the message says why."""


class Process:
    """A child that writes its output into files; a context that ends it.

    Args:
        name: Of its files.
        command: Program and arguments.
        environment: All its variables.
        folder: Its working directory, and where `name.out` and `name.err` lie.
    """

    def __init__(
        self, name: str, command: Sequence[str], environment: Mapping[str, str], folder: Path
    ) -> None:
        self.name = name
        self._out, self._err = folder / f"{name}.out", folder / f"{name}.err"
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self._child = subprocess.Popen(
                command, env=dict(environment), cwd=folder, stdout=out, stderr=err
            )
        self.pid = self._child.pid

    def first_line(self, within_s: float = 15.0) -> str:
        """Wait until it has said something, and return the first line."""
        wait_until(self._has_spoken, within_s, f"{self.name} to start")
        return self._said().partition("\n")[0]

    def check(self) -> None:
        """Make sure that it lives.

        Raises:
            Failed: With the end of what it said.
        """
        code = self._child.poll()
        if code is not None:
            last = (self._said() + self._err.read_text(errors="replace")).strip()[-2000:]
            raise Failed(f"{self.name} ended with {code}: {last}")

    def warnings(self) -> list[str]:
        """Lines of its log that are more than information."""
        words = ("warning", "error", "critical", "Traceback")
        lines = self._err.read_text(errors="replace").splitlines() + self._said().splitlines()
        return [line for line in lines if any(word in line for word in words)]

    def _has_spoken(self) -> bool:
        self.check()
        return "\n" in self._said()

    def _said(self) -> str:
        return self._out.read_text(errors="replace")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._child.poll() is None:
            self._child.send_signal(signal.SIGTERM)
            try:
                self._child.wait(10)
            except subprocess.TimeoutExpired:
                self._child.kill()
        self._child.wait()


def cpu_s(pid: int) -> float:
    """Seconds of CPU that a process has used, in user and system, by all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def machine_cpu_s() -> float:
    """Seconds of CPU that everything on this machine has used, interrupts and stolen time too."""
    fields = [int(field) for field in Path("/proc/stat").read_text().split("\n")[0].split()[1:9]]
    user, nice, system, _idle, _iowait, irq, softirq, steal = fields
    return (user + nice + system + irq + softirq + steal) / TICKS


def memory_mb(pid: int) -> tuple[float, float]:
    """Resident memory of a process now, and the most it ever was, in MiB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    kilobytes = {line.split()[0]: line.split()[1] for line in lines if line.startswith("Vm")}
    return int(kilobytes["VmRSS:"]) / 1024, int(kilobytes["VmHWM:"]) / 1024


def wait_until(is_so: Callable[[], object], within_s: float, what: str) -> None:
    """Ask every 50 ms until the answer is yes.

    Raises:
        Failed: When it is still no after `within_s`.
    """
    deadline = time.monotonic() + within_s
    while not is_so():
        if time.monotonic() > deadline:
            raise Failed(f"waited {within_s:g} s in vain for {what}")
        time.sleep(0.05)

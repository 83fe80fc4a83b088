"""A worker with short clocks and traps: `python -m tests.fakes.rigged enrich`.

`RIGGED_CLOCKS="common.heartbeat.EVERY_S=0.5 …"` shortens constants, so that a test need not wait
for minutes. `RIGGED_TRAPS="common.bus.consumer.Consumer.settle=kill:/path …"` lays traps: as long
as the file is there, whoever comes by dies (`kill`), hangs for good (`hang`) or wants more memory
than there is (`memory`). One of the file's lines must stand in the arguments too; an empty file
is for anybody. A file that ends in `.once` is removed by the first victim. Each victim leaves a
line in the file with `.sprung` added.
`RIGGED_CLOCK=/path` sets the time of day off by the seconds that stand in the file, if it is there.
"""

import importlib
import os
import runpy
import signal
import sys
import time
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any


def main() -> None:
    """Set the clocks, lay the traps, and become the worker."""
    for order in os.environ.get("RIGGED_CLOCKS", "").split():
        dotted, _, number = order.partition("=")
        owner, name = _find(dotted)
        old = getattr(owner, name)
        setattr(owner, name, type(old)(float(number)))
    for order in os.environ.get("RIGGED_TRAPS", "").split():
        dotted, _, trap = order.partition("=")
        kind, _, file = trap.partition(":")
        owner, name = _find(dotted)
        setattr(owner, name, trapped(getattr(owner, name), kind, Path(file)))
    if clock := os.environ.get("RIGGED_CLOCK"):
        _set_clock(Path(clock))
    room = sys.argv.pop(1)
    sys.argv[0] = room
    runpy.run_module(room, run_name="__main__", alter_sys=True)


def _find(dotted: str) -> tuple[Any, str]:
    """The object that holds what a dotted name names, and its name in there."""
    parts = dotted.split(".")
    for at in range(len(parts) - 1, 0, -1):
        try:
            owner = importlib.import_module(".".join(parts[:at]))
        except ModuleNotFoundError:
            continue
        for part in parts[at:-1]:
            owner = getattr(owner, part)
        return owner, parts[-1]
    raise SystemExit(f"there is no {dotted}")


def _set_clock(file: Path) -> None:
    """Only the time of day: the clocks by which anybody waits go on as they are."""
    right_ns = time.time_ns

    def wrong_ns() -> int:
        try:
            return right_ns() + int(file.read_text()) * 10**9
        except (OSError, ValueError):  # ValueError: it is being written
            return right_ns()

    time.time_ns = wrong_ns
    time.time = lambda: wrong_ns() / 1e9


def _catches(file: Path, args: tuple[Any, ...]) -> bool:
    """Whether a trap is laid and means these arguments; it can be taken away at any moment."""
    try:
        words = file.read_text().splitlines()
        said = repr(args) if words else ""
        if words and not any(word in said for word in words):
            return False
        if file.suffix == ".once":
            file.unlink()
    except FileNotFoundError:
        return False
    return True


def trapped(function: Callable[..., Any], kind: str, file: Path) -> Callable[..., Any]:
    @wraps(function)
    def called(*args: Any, **named: Any) -> Any:
        if _catches(file, args):
            with file.with_name(file.name + ".sprung").open("a") as traces:
                traces.write(f"{kind} {os.getpid()}\n")
            if kind == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            if kind == "memory":
                bytearray(2**62)
            while True:
                time.sleep(60)
        return function(*args, **named)

    return called


if __name__ == "__main__":
    main()

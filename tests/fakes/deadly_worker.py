"""A worker that dies of some events: `python -m tests.fakes.deadly_worker enrich`.

`DEADLY` says how: `kill`, `memory`, `hang` (in Python), `hang_in_c` or `stop`.
"""

import os
import re
import resource
import runpy
import signal
import sys
from typing import Any

from common import watchdog
from common.event import Event
from common.sink.sqlite import SqliteSink
from enrich import chain

MARK = b"deadly"
"""What the data of an event holds of which the worker dies."""

MEMORY = 2**32
"""Bytes of address space that a worker has which dies of too little memory."""

HUNG_S = 0.5
"""Seconds after which the watchdog of a worker bites that hangs."""


def meet(event: Event) -> None:
    """Do what is to be done with an event, if it is a deadly one."""
    if MARK in event.data:
        DEATHS[os.environ["DEADLY"]]()


def run_out_of_memory() -> None:
    """Take more than there is."""
    bytearray(2 * MEMORY)


def hang() -> None:
    """Never come back."""
    while True:
        pass


DEATHS: dict[str, Any] = {
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "memory": run_out_of_memory,
    "hang": hang,
    "hang_in_c": lambda: re.match(r"(a|a)*b", "a" * 60),  # holds the interpreter's lock
    "stop": lambda: os.kill(os.getpid(), signal.SIGSTOP),
}


def main() -> None:
    """Run the stage that the command line names."""
    if os.environ["DEADLY"] == "memory":
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    if os.environ["DEADLY"].startswith("hang"):
        watchdog.HUNG_S = HUNG_S  # type: ignore[misc] # shorter than anybody would wait
    point = SqliteSink.point

    def deadly_point(sink: SqliteSink, event: Event) -> Any:
        meet(event)
        return point(sink, event)

    SqliteSink.point = deadly_point  # type: ignore[assignment, method-assign]
    if sys.argv[1] == "enrich":
        chain.STEPS = (lambda captured, *_: meet(captured.event), *chain.STEPS)
    sys.argv = sys.argv[1:]
    runpy.run_module(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    main()

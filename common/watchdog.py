"""The watchdog: cuts off work that hangs, so that it counts as a death like any other."""

import faulthandler
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

HUNG_S: Final = 15.0
"""Seconds that the work on one batch may take without a pause; it needs some milliseconds."""

_STDERR: Final = 2
"""Descriptor that the traceback goes to, whatever Python's own `sys.stderr` is."""


@contextmanager
def watched() -> Iterator[None]:
    """Around work that does not wait: after `HUNG_S` seconds the process ends with a traceback.

    The clock runs in a thread that needs nothing of Python, so it ends a loop in C too. There is
    one such clock in a process: what is watched must neither await nor be watched again within.
    """
    faulthandler.dump_traceback_later(HUNG_S, file=_STDERR, exit=True)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()

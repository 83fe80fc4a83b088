"""The watchdog: cuts off work that hangs, so that it counts as a death like any other."""

import faulthandler
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

HUNG_S: Final = 15.0
"""Seconds that the work on one batch may take without a pause; it needs some milliseconds."""

_STDERR: Final = 2
"""Descriptor that the traceback goes to, whatever Python's own `sys.stderr` is."""


@contextmanager
def watched() -> Iterator[None]:
    """Around work that does not wait: after `HUNG_S` seconds SIGALRM ends it with a traceback.

    The clock is the kernel's and needs nothing of Python, so it ends a loop in C too. There is
    one such clock in a process: what is watched must neither await nor be watched again within.
    """
    # Not `dump_traceback_later`: a thread for each batch costs more than a small batch does.
    faulthandler.register(signal.SIGALRM, file=_STDERR, chain=True)
    signal.setitimer(signal.ITIMER_REAL, HUNG_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)

"""What became of bad inputs, and what none of them may do."""

import signal
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import msgspec

DEADLINE_S = 20.0
"""Seconds in which any one input must be done with; generous, for slow machines."""

SHOWN = 2000
"""Bytes of an input that a finding shows."""


class TooSlow(BaseException):
    """An input took too long; no `except Exception` catches it."""


class Report(msgspec.Struct):
    """What became of the inputs at one boundary.

    Attributes:
        tried: How many inputs.
        ends: How each ended → how many.
        findings: What must not be: input and what it did.
    """

    tried: int = 0
    ends: Counter[str] = msgspec.field(default_factory=Counter)
    findings: list[str] = []

    def end(self, how: str) -> None:
        """Count how one thing ended; an input may carry several."""
        self.ends[how] += 1

    @contextmanager
    def trying(self, shown: object) -> Iterator[None]:
        """Around one input: whatever it raises that has no place here is a finding."""
        self.tried += 1
        text = shown if isinstance(shown, bytes) else repr(shown).encode(errors="replace")
        try:
            yield
        except (Exception, TooSlow) as error:  # noqa: BLE001 - this is what it looks for
            where = "".join(traceback.format_exception(error)[-4:])
            size = f"{len(text)} bytes: {text[:SHOWN]!r}"
            self.findings.append(f"{type(error).__name__} for an input of {size}\n{where}")


@contextmanager
def in_time(seconds: float = DEADLINE_S) -> Iterator[None]:
    """Around what runs without awaiting.

    Raises:
        TooSlow: When it takes longer.
    """

    def late(_signal: int, _frame: FrameType | None) -> None:
        raise TooSlow(f"it took more than {seconds} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)

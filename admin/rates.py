"""How fast events flow: the ledger's counters, looked at again and again."""

from collections import deque
from typing import Final

from common.ledger import Ledger

WINDOW_S: Final = 60.0
"""Seconds over which a rate is taken."""

KEPT: Final = 450
"""Looks whose rates are remembered: a quarter of an hour, at one look every 2 s."""

COUNTERS: Final = ("captured", "enriched", "stored", "buried")
"""Counters of the ledger whose rates are remembered."""


class Rates:
    """Remembers the ledger of the last minute, and its rates for longer; the time is handed in.

    Attributes:
        past: When each remembered look was, on the clock that is handed in, and the rates of
            `COUNTERS` then, events a second.
    """

    def __init__(self) -> None:
        self._samples: deque[tuple[float, Ledger]] = deque()
        self.past: deque[tuple[float, tuple[float | None, ...]]] = deque(maxlen=KEPT)

    def add(self, now: float, ledger: Ledger) -> None:
        """Remember what the ledger says now, and forget what is older than a minute.

        A counter that went back means that Redis was emptied: then we start anew.

        Args:
            now: Seconds of a clock that never goes back.
            ledger: All counters.
        """
        if self._samples and ledger.captured < self._samples[-1][1].captured:
            self._samples.clear()
        self._samples.append((now, ledger))
        while now - self._samples[0][0] > WINDOW_S:
            self._samples.popleft()

    def remember(self) -> None:
        """Keep the rates as of the newest look."""
        rates = tuple(self.per_second(counter) for counter in COUNTERS)
        if self._samples:
            self.past.append((self._samples[-1][0], rates))

    @property
    def latest(self) -> Ledger | None:
        """The newest look; None before the first."""
        return self._samples[-1][1] if self._samples else None

    @property
    def window_s(self) -> float:
        """Seconds that the samples span; 0 while there are fewer than two."""
        return self._samples[-1][0] - self._samples[0][0] if self._samples else 0.0

    def per_second(self, counter: str) -> float | None:
        """Events a second by one counter of the ledger; None while nobody knows."""
        if self.window_s <= 0:
            return None
        first, last = self._samples[0][1], self._samples[-1][1]
        rise: int = getattr(last, counter) - getattr(first, counter)
        return max(0.0, rise / self.window_s)

"""Delays between tries, as a generator."""

from collections.abc import Callable, Iterator

FIRST_S = 0.2
FACTOR = 2.0
CAP_S = 10.0


def delays(
    random: Callable[[], float],
    first: float = FIRST_S,
    factor: float = FACTOR,
    cap: float = CAP_S,
) -> Iterator[float]:
    """Yield for ever how many seconds to wait before the next try.

    The n-th delay lies between half and all of first * factor^n, and never above cap: clients
    that lost the same server come back at different times, and nobody ever spins.

    Args:
        random: Returns a number from 0.0 up to, not including, 1.0.
        first: Longest first delay, seconds, above 0.
        factor: How much longer each delay may be than the one before, at least 1.
        cap: Longest delay of all, seconds.
    """
    longest = min(first, cap)
    while True:
        yield longest * (0.5 + random() / 2)
        longest = min(longest * factor, cap)

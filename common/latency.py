"""How long events take from hop to hop: cumulative counts in buckets, as Prometheus wants them."""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from common.event import microseconds, time_of

BOUNDS_S: Final = (
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
    30.0,
    60.0,
    300.0,
    3600.0,
)
"""Upper bounds of the buckets, seconds; one more bucket has none."""

_BOUNDS_MS: Final = tuple(bound * 1000 for bound in BOUNDS_S)

_MANY: Final = 50
"""Times from which on writing the bounds as text costs less than reading each."""

Item = TypeVar("Item")


class Latency:
    """Counts events by how long they took.

    Attributes:
        counts: Events in each bucket, not yet summed up.
    """

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS_S) + 1)

    def add_ordered(self, began: Sequence[Item], ms_of: Callable[[Item], int], now_ms: int) -> None:
        """Count things by when they began; where neighbours share a bucket they are not looked at.

        Args:
            began: The things, oldest first.
            ms_of: When a thing began, milliseconds since 1970.
            now_ms: When they ended.
        """
        parts = [(0, len(began))] if began else []
        while parts:
            start, end = parts.pop()
            oldest = bisect_left(_BOUNDS_MS, now_ms - ms_of(began[start]))
            newest = bisect_left(_BOUNDS_MS, now_ms - ms_of(began[end - 1]))
            if oldest == newest or end - start == 1:
                self.counts[oldest] += end - start
            else:
                middle = (start + end) // 2
                parts += ((start, middle), (middle, end))

    def add_times(self, times: Sequence[str], now_us: int) -> None:
        """Count events by their own time, in any order; many at once by comparing text alone.

        Args:
            times: ISO 8601 as events carry it.
            now_us: When they ended, microseconds since 1970.
        """
        if len(times) < _MANY:
            for time in times:
                age_ms = (now_us - microseconds(time)) / 1000
                self.counts[bisect_left(_BOUNDS_MS, age_ms)] += 1
            return
        newest_last = sorted(times)  # nearly so already
        older = len(times)
        for bucket, bound in enumerate(BOUNDS_S):
            still_older = bisect_left(newest_last, time_of(now_us - int(bound * 1_000_000)))
            self.counts[bucket] += older - still_older
            older = still_older
        self.counts[-1] += older


def ms_of_id(entry_id: bytes) -> int:
    """Milliseconds since 1970 that an entry id carries."""
    return int(entry_id.partition(b"-")[0])

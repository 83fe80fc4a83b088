"""How many points are written at once, while more of them take the sink too long."""

from collections.abc import Iterator, Sequence
from typing import Final, TypeVar

Point = TypeVar("Point")

FEWEST: Final = 100
"""Points; to write fewer at once would not help a slow sink."""

_ANY_NUMBER: Final = 2**31


class Portions:
    """Cuts batches: smaller after the sink was too slow, and larger again as it keeps up."""

    def __init__(self) -> None:
        self._most = _ANY_NUMBER

    def of(self, points: Sequence[Point]) -> Iterator[Sequence[Point]]:
        """Yield the points in portions; whoever asks for more has written what came before."""
        for start in range(0, len(points), self._most):
            yield points[start : start + self._most]
        self._most = min(self._most + self._most // 4, _ANY_NUMBER)

    def shrink(self, count: int) -> None:
        """Take in that so many points, or a portion of them, were too many at once."""
        self._most = max(FEWEST, min(self._most, count) // 2)

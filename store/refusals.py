"""Which points of a refused batch are the bad ones."""

from collections.abc import Generator

from common.errors import PointRejected

Part = tuple[int, int]
"""First position and the position after the last."""


def isolate(count: int) -> Generator[Part, PointRejected | None, dict[int, PointRejected]]:
    """Yield the parts of a batch to write, smaller ones where it is refused.

    Send back None for a part that stands written, or what it was refused for: then it is halved
    until the bad points stand alone. Of n points one bad one costs 2·log₂(n) parts more.

    Args:
        count: Points in the batch.

    Returns:
        Position → why this point is refused; all others stand written.
    """
    refusals: dict[int, PointRejected] = {}
    parts: list[Part] = [(0, count)] if count else []
    while parts:
        start, end = parts.pop()
        refusal = yield start, end
        if refusal is None:
            continue
        if end - start == 1:
            refusals[start] = refusal
            continue
        middle = (start + end) // 2
        parts += ((middle, end), (start, middle))
    return refusals

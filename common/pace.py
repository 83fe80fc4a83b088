"""How long a batch gathers."""

from typing import Final

LONGER_BY: Final = 100
"""Events in the last batch that make the next one gather once more the shortest time."""

LONGEST: Final = 5.0
"""The longest time to gather, in shortest times."""


def gather_s(shortest_s: float, last_batch: int) -> float:
    """Seconds from the start of a batch to the start of the next.

    The thicker events come, the longer the next batch gathers, and the less each of them costs.

    Args:
        shortest_s: When events come one by one.
        last_batch: How many came last time.
    """
    return shortest_s * min(1 + last_batch / LONGER_BY, LONGEST)

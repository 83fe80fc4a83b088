"""Gate: how many at once may read all dead letters; whoever comes then is not kept waiting."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from admin.failure import Refusal

AT_ONCE: Final = 4
"""Searches for a text and exports at once: each takes some megabytes, and time of us all."""


class Gate:
    """Lets a few in, and refuses the others: work for who has left would pile up else."""

    def __init__(self) -> None:
        self._inside = 0

    def check(self) -> None:
        """Refuse when it is full.

        Raises:
            Refusal: 503; try again soon.
        """
        if self._inside >= AT_ONCE:
            raise Refusal(
                503,
                f"{AT_ONCE} searches and exports of dead letters are running; try again",
                code="TOO_MANY_SEARCHES",
                headers={"Retry-After": "2"},
            )

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Be inside meanwhile.

        Raises:
            Refusal: 503 when it is full.
        """
        self.check()
        self._inside += 1
        try:
            yield
        finally:
            self._inside -= 1

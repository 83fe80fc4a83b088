"""Whether a write that fails again and again fails because of its points."""

TRIES = 5
"""Failures of one write after which the sink must prove that it can write at all."""


class Suspicion:
    """Of one batch, while it is written part by part.

    A sink in trouble fails at every write. Only where it takes a point of ours in between do we
    blame the points: then the batch is split, and its parts no longer get so many tries, but the
    single point that is about to be buried does.
    """

    def __init__(self) -> None:
        self._failures = 0
        self._is_confirmed = False

    def falls_on_points(self, count: int) -> bool:
        """Count a failure at so many points; return whether the sink is to prove itself now."""
        self._failures += 1
        return self._failures >= (1 if self._is_confirmed and count > 1 else TRIES)

    def confirm(self) -> None:
        """The sink has proved itself: it is the points."""
        self._is_confirmed = True
        self._failures = 0

    def drop(self) -> None:
        """The points stand: whatever failed before was the sink's fault."""
        self._failures = 0

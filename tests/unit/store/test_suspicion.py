"""Whether a write that fails again and again fails because of its points."""

import pytest

from store.suspicion import TRIES, Suspicion


@pytest.mark.parametrize("count", [1, 5000])
def test_a_few_failures_are_the_sinks(count):
    """Only the TRIES-th failure of a write asks the sink to prove itself, and each one after it."""
    suspicion = Suspicion()
    asked = [suspicion.falls_on_points(count) for _ in range(TRIES + 2)]
    assert asked == [False] * (TRIES - 1) + [True] * 3


def test_parts_of_a_batch_under_suspicion_are_split_at_once_and_a_point_is_not_buried_at_once():
    """After the sink has proved itself a part gets one try, a single point all of them."""
    suspicion = Suspicion()
    suspicion.confirm()
    assert suspicion.falls_on_points(2)
    suspicion.confirm()
    assert not suspicion.falls_on_points(1)


def test_what_stands_is_above_suspicion():
    """A write that gets through ends the counting of its failures."""
    suspicion = Suspicion()
    for _ in range(TRIES - 1):
        suspicion.falls_on_points(1)
    suspicion.drop()
    assert not suspicion.falls_on_points(1)

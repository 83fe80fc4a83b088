"""common/pace.py."""

import pytest

from common.pace import gather_s


@pytest.mark.parametrize(
    ("last_batch", "seconds"), [(0, 0.010), (10, 0.011), (100, 0.020), (400, 0.050), (9_999, 0.050)]
)
def test_the_thicker_events_come_the_longer_a_batch_gathers(last_batch, seconds):
    """A batch of 100 doubles the time, and five times the shortest is the most."""
    assert gather_s(0.010, last_batch) == pytest.approx(seconds)


def test_no_pause_stays_no_pause():
    """Who asks for none never waits."""
    assert gather_s(0.0, 5_000) == 0.0

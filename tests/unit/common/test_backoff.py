from itertools import islice

from hypothesis import given
from hypothesis import strategies as st

from common.backoff import delays


def test_doubles_up_to_the_cap():
    """Without luck each delay is twice the one before, until the cap."""
    never_lucky = delays(lambda: 1.0, first=0.2, factor=2, cap=1.0)
    assert list(islice(never_lucky, 5)) == [0.2, 0.4, 0.8, 1.0, 1.0]


def test_is_at_least_half_of_that():
    """The luckiest delay is half as long, never nothing."""
    assert list(islice(delays(lambda: 0.0, first=0.2, factor=2, cap=1.0), 3)) == [0.1, 0.2, 0.4]


def test_cap_below_first():
    """The cap holds for the first delay too."""
    assert next(delays(lambda: 1.0, first=5, cap=2)) == 2


@given(
    luck=st.floats(0, 1, exclude_max=True),
    first=st.floats(0.001, 100),
    factor=st.floats(1, 1000),
    cap=st.floats(0.001, 1000),
    count=st.integers(1, 400),
)
def test_never_spins_and_never_exceeds_the_cap(luck, first, factor, cap, count):
    """However often it failed, a delay is above zero and at most the cap."""
    for delay in islice(delays(lambda: luck, first, factor, cap), count):
        assert min(first, cap) / 2 <= delay <= cap

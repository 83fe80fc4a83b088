"""How much is written at once after a sink was too slow."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from store.portions import FEWEST, Portions


def sizes_of(portions, count):
    return [len(portion) for portion in portions.of(range(count))]


def test_at_first_a_batch_is_one_portion():
    """Nothing is cut as long as the sink keeps up."""
    portions = Portions()
    assert sizes_of(portions, 5000) == [5000]
    assert sizes_of(portions, 500_000) == [500_000]


def test_each_time_that_it_takes_too_long_half_as_much_is_written_but_never_too_little():
    """Half as much at each failure, and not below the fewest."""
    portions = Portions()
    firsts = []
    for _ in range(8):
        portions.shrink(5000)
        firsts.append(len(next(portions.of(range(5000)))))
    assert firsts == [2500, 1250, 625, 312, 156, FEWEST, FEWEST, FEWEST]


def test_what_keeps_up_grows_to_whole_batches_again():
    """From the fewest a batch of 5,000 is whole again after some twenty batches."""
    portions = Portions()
    portions.shrink(1)
    firsts = []
    while (size := sizes_of(portions, 5000)[0]) < 5000:
        firsts.append(size)
    assert firsts[0] == FEWEST
    assert all(less < more for less, more in pairwise(firsts))
    assert len(firsts) < 25


@given(st.integers(0, 20_000), st.lists(st.integers(0, 20_000), max_size=9))
def test_portions_are_the_points_in_order(count, failures):
    """Whatever failed before, nothing is left out, doubled or moved."""
    portions = Portions()
    for failure in failures:
        portions.shrink(failure)
    assert [point for portion in portions.of(range(count)) for point in portion] == [*range(count)]

"""How long events take from hop to hop."""

from hypothesis import given
from hypothesis import strategies as st

from common.event import time_of
from common.latency import BOUNDS_S, Latency, ms_of_id

NOW_MS = 1_795_189_473_435
AGES_MS = st.lists(st.integers(-10_000, 8_000_000), max_size=300)


def expected(ages_ms):
    """Count by looking at each."""
    counts = [0] * (len(BOUNDS_S) + 1)
    for age in ages_ms:
        counts[sum(age > bound * 1000 for bound in BOUNDS_S)] += 1
    return counts


@given(AGES_MS)
def test_ordered_things_are_counted_as_if_each_were_looked_at(ages):
    """Skipping neighbours of one bucket changes no count; a clock ahead counts as no time."""
    latency = Latency()
    ordered = sorted(NOW_MS - age for age in ages)
    latency.add_ordered([b"%d-1" % ms for ms in ordered], ms_of_id, NOW_MS)
    assert latency.counts == expected(ages)


@given(AGES_MS)
def test_times_are_counted_in_any_order(ages):
    """Comparing the text of times counts as reading them would."""
    latency = Latency()
    latency.add_times([time_of((NOW_MS - age) * 1000) for age in ages], NOW_MS * 1000)
    assert latency.counts == expected(ages)


def test_few_times_are_counted_as_many_are():
    """A batch below and one above the number where the way of counting changes agree."""
    ages = [5, 20, 20, 900, 7_000_000]
    for repeated in (1, 20):
        latency = Latency()
        latency.add_times(
            [time_of((NOW_MS - age) * 1000) for age in ages * repeated], NOW_MS * 1000
        )
        assert latency.counts == expected(ages * repeated)


def test_neighbours_in_one_bucket_are_not_looked_at():
    """Of a thousand entries of one age two are read."""
    read = []
    Latency().add_ordered(range(1000), lambda n: read.append(n) or NOW_MS - 20, NOW_MS)
    assert read == [0, 999]


def test_counts_only_grow():
    """Two batches add up."""
    latency = Latency()
    latency.add_ordered([1], lambda _: NOW_MS, NOW_MS)
    latency.add_ordered([1], lambda _: NOW_MS, NOW_MS)
    assert latency.counts[0] == 2

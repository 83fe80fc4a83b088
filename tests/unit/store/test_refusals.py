"""Which points of a refused batch are the bad ones."""

from math import ceil, log2

from hypothesis import given
from hypothesis import strategies as st

from common.errors import PointRejected
from store.refusals import isolate


def run(count, bad):
    """Play a sink that refuses what holds a bad point; return refusals, requests, what stands."""
    parts = isolate(count)
    requests, stored = 0, []
    try:
        start, end = next(parts)
        while True:
            requests += 1
            refused = bad & set(range(start, end))
            if not refused:
                stored += range(start, end)
            start, end = parts.send(PointRejected(f"{sorted(refused)}") if refused else None)
    except StopIteration as done:
        return done.value, requests, stored


@given(st.data())
def test_exactly_the_bad_points_are_refused(data):
    """Whatever the bad ones are: they end alone, the others are written once, in order."""
    count = data.draw(st.integers(0, 300))
    bad = data.draw(st.sets(st.integers(0, count - 1))) if count else set()
    refusals, _, stored = run(count, bad)
    assert set(refusals) == bad
    assert stored == [n for n in range(count) if n not in bad]
    assert all(str(error) == f"[{n}]" for n, error in refusals.items())


@given(st.integers(1, 5000), st.data())
def test_one_bad_point_costs_few_requests(count, data):
    """One bad point among n costs at most 2·log₂(n) parts more than the batch itself."""
    bad = data.draw(st.integers(0, count - 1))
    _, requests, _ = run(count, {bad})
    assert requests <= 1 + 2 * ceil(log2(count))


def test_a_good_batch_is_one_request():
    """Where nothing is refused nothing is split."""
    assert run(5000, set()) == ({}, 1, list(range(5000)))


def test_an_empty_batch_is_not_written():
    """Nothing to write is no request."""
    assert run(0, set()) == ({}, 0, [])

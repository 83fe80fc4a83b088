"""The arithmetic of the bench."""

import pytest

from tests.bench.figures import (
    Verdict,
    latencies_ms,
    medians,
    percentile,
    spent,
    spread,
    table,
    verdict,
)


@pytest.mark.parametrize(
    ("percent", "expected"), [(0, 1), (1, 1), (50, 50), (50.5, 51), (99, 99), (100, 100)]
)
def test_a_percentile_is_a_sample(percent, expected):
    """The nearest rank: the smallest sample that so many percent do not exceed."""
    assert percentile([*range(100, 0, -1)], percent) == expected


def test_no_samples_have_no_percentile():
    """Nothing is made up where nothing was measured."""
    with pytest.raises(ValueError, match="no samples"):
        percentile([], 50)
    assert spread([]) == "no samples"


def test_a_p99_needs_a_hundred_samples():
    """Below a hundred samples only median and maximum are said."""
    assert spread([float(n) for n in range(1, 100)]) == "50.0 / – / 99.0"
    assert spread([float(n) for n in range(1, 201)]) == "100.0 / 198.0 / 200.0"


def test_what_was_sent_is_held_against_what_was_stored():
    """Missing, twice and strange are counted each; what only happened need not be stored."""
    happened = {1: False, 2: False, 3: True, 4: True, 5: True}
    found = verdict(happened, [1, 3, 4, 4, 4, 9])
    assert found == Verdict(sent=3, stored=2, twice=2, strange=1)
    assert found.missing == 1


def test_latency_counts_what_was_sent_in_its_span():
    """Left out: before and after, not sent, not stored, and times that the simulator rounded."""
    start = 1_000_000_030_000
    happened = {
        start - 1: True, start: True, start + 1: False, start + 2: True, start + 3: True,
        1_000_010_000_000: True, 1_000_010_019_999: True, 1_000_010_020_000: True,
        1_000_020_030_000: True,
    }  # fmt: skip
    answered = {us: us * 1000 + 5_500_000 for us in happened if us != start + 2}
    answered[start] = start * 1000 + 2_000_000
    found = latencies_ms(happened, answered, (start, 1_000_010_020_000))
    assert found == [2.0, 5.5, 5.5]


def test_medians_are_taken_figure_by_figure():
    """Each figure has its own median over the runs."""
    runs = [{"a": 1.0, "b": 9.0}, {"a": 3.0, "b": 7.0}, {"a": 2.0, "b": 8.0}]
    assert medians(runs) == {"a": 2.0, "b": 8.0}


def test_spent_is_what_came_between_two_readings():
    """The difference, by process, divided as asked."""
    assert spent({"a": 1.0, "b": 2.0}, {"a": 2.0, "b": 2.5}, 0.5) == {"a": 2.0, "b": 1.0}


def test_a_table_lines_up():
    """Figures stand flush right, everything else flush left; a short row is a heading."""
    assert table(("what", "n", "how"), [("**a**",), ("bb", "1,000", "x")]).splitlines() == [
        "| what  |     n | how |",
        "| ----- | ----: | --- |",
        "| **a** |       |     |",
        "| bb    | 1,000 | x   |",
    ]

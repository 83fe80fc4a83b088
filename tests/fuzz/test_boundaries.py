"""A short part of `make fuzz`."""

import pytest

from tests.fuzz.__main__ import BOUNDARIES

pytestmark = pytest.mark.integration

COUNT = 5_000
"""Inputs of all boundaries together; `make fuzz` tries over a hundred thousand."""


@pytest.mark.parametrize("name", BOUNDARIES)
async def test_nothing_that_comes_in_breaks_habus(name):
    """Each bad input ends as a point, as a letter, as an error of ours, or counted."""
    tries, share = BOUNDARIES[name]
    report = await tries(7, int(COUNT * share))
    assert report.findings == []
    assert report.tried == int(COUNT * share)
    assert report.ends

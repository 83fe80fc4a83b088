"""Outages that last, in short; `python -m tests.faults.bars` has the long ones."""

import pytest

from tests.faults.bars import OUTAGES, bar

pytestmark = [pytest.mark.faults, pytest.mark.asyncio(loop_scope="module")]


@pytest.mark.parametrize("name", OUTAGES)
async def test_all_is_stored_soon_after_an_outage(name):
    """What came while Redis or InfluxDB was away is stored within a minute, in order."""
    assert await bar(name, seconds=8.0, rate=200.0) == 0

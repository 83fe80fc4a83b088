"""Somebody else meddles with the streams: what habus can heal it heals, and the rest it counts."""

import pytest

from tests.faults.fault import fault, params_of
from tests.faults.pipeline import Setup

pytestmark = [pytest.mark.faults, pytest.mark.asyncio(loop_scope="module")]

MEDDLED = Setup(meddled=True)


@fault("F19", "ha:raw is deleted while enrich waits for it", MEDDLED)
async def raw_deleted(pipeline):
    assert await pipeline.bus.command("DEL", "ha:raw") == 1
    return "the key was there, and deleted"


@fault("F19b", "the consumer groups are destroyed while their consumers wait", MEDDLED)
async def groups_destroyed(pipeline):
    assert await pipeline.bus.command("XGROUP DESTROY", "ha:raw", "enrich") == 1
    assert await pipeline.bus.command("XGROUP DESTROY", "ha:enriched", "store") == 1
    return "both groups were there, and destroyed"


@pytest.mark.parametrize("fault", params_of(__name__))
async def test_survives(ground, fault):
    """Whatever others do to the streams, each event ends stored, once, or is told as lost."""
    await ground.survive(fault)

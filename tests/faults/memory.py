"""A Redis that is filled up by somebody else."""

from contextlib import asynccontextmanager

from common.bus.trim import share_of_memory, trim
from common.errors import BusUnavailable


@asynccontextmanager
async def limited(pipeline, least_mb=40):
    """Redis may take no more memory than this, or than twice of what it takes.

    What it keeps for inspection only goes first: of a long soak's, habus deletes a part at a time.
    """
    for stream in ("ha:raw", "ha:enriched"):
        while await trim(pipeline.bus, stream, 0.0):
            pass
    used = int((await pipeline.bus.command("INFO", "memory"))["used_memory"])
    await pipeline.bus.command("CONFIG", "SET", "maxmemory", max(least_mb * 2**20, 2 * used))
    try:
        yield
    finally:
        await pipeline.bus.command("CONFIG", "SET", "maxmemory", 0)
        await pipeline.bus.command("DEL", "ballast")


async def filled(pipeline, share):
    """Let somebody fill Redis up to this share of what it may take; above 1: to the brim."""
    try:
        while await share_of_memory(pipeline.bus) < share:
            await pipeline.bus.command("APPEND", "ballast", b"x" * 100_000)
    except BusUnavailable as error:
        assert "maxmemory" in str(error)  # noqa: PT017 - its class says less
        assert share > 1

"""Enrich by itself: `python -m enrich`."""

import asyncio
import sys

from common.bus import ENRICH, Consumer, Keys, Room, connect, keep_trimmed
from common.heap import keep_heap
from common.heartbeat import Heartbeat
from common.lifecycle import run_worker
from common.registry_reader import RegistryReader
from common.slot import slot
from enrich.config import Settings
from enrich.worker import work

BATCH_SIZE = 1000
"""Most events enriched at once, from each stream."""

PAUSE_S = 0.005
"""Shortest time between two batches that are not full; half of what `store` takes."""


async def main(settings: Settings, stop: asyncio.Event) -> None:
    """Wire the worker, and run it until `stop` is set.

    Raises:
        FatalError: When a person must act.
        Stopped: When `stop` was set while Redis was away; nothing is lost.
    """
    keep_heap()
    keys = Keys(settings.bus_prefix)
    with slot(ENRICH, settings.worker_name, settings.redis_url, settings.bus_prefix) as name:
        async with connect(settings.redis_url, keys) as bus, asyncio.TaskGroup() as tasks:
            heartbeat = Heartbeat(bus, ENRICH, name)
            raw = Consumer(
                *(bus, ENRICH, name),
                batch_size=BATCH_SIZE,
                pause_s=PAUSE_S,
                max_deaths=settings.bus_max_deliveries,
            )
            retention_s = settings.bus_retention_hours * 3600
            tasks.create_task(heartbeat.keep_beating(stop))
            tasks.create_task(keep_trimmed(bus, keys.group_inputs(ENRICH), retention_s, stop))
            async with raw.releasing():
                await work(raw, keys.enriched, RegistryReader(bus), Room(bus), heartbeat, stop)


if __name__ == "__main__":
    sys.exit(run_worker(Settings, main))

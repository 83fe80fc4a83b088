"""Store by itself: `python -m store`."""

import asyncio
import sys
from typing import Final

from common.bus import STORE, Consumer, Keys, connect, keep_trimmed
from common.heap import keep_heap
from common.heartbeat import Heartbeat
from common.ledger import keep_balanced
from common.lifecycle import run_worker
from common.logs import logger
from common.sink import open_sink
from common.slot import slot
from store.config import Settings
from store.worker import reach, work

LOOK_S: Final = 15.0
"""Seconds without an event after which the sink is looked after."""

log = logger(__name__)


async def main(settings: Settings, stop: asyncio.Event) -> None:
    """Wire the worker, and run it until `stop` is set.

    Raises:
        FatalError: When a person must act.
        Stopped: When `stop` was set while something was away; nothing is lost.
    """
    keep_heap()
    keys = Keys(settings.bus_prefix)
    with slot(STORE, settings.worker_name, settings.redis_url, settings.bus_prefix) as name:
        async with (
            connect(settings.redis_url, keys) as bus,
            open_sink(settings, is_made=True) as sink,
            asyncio.TaskGroup() as tasks,
        ):
            heartbeat = Heartbeat(bus, STORE, name)
            enriched = Consumer(
                *(bus, STORE, name),
                batch_size=settings.store_batch_size,
                pause_s=settings.store_linger_ms / 1000,
                max_deaths=settings.bus_max_deliveries,
                idle_s=LOOK_S,
            )
            retention_s = settings.bus_retention_hours * 3600
            tasks.create_task(heartbeat.keep_beating(stop))
            tasks.create_task(keep_trimmed(bus, keys.group_inputs(STORE), retention_s, stop))
            tasks.create_task(keep_balanced(bus, stop))
            log.info("Connected to the sink", sink=await reach(sink, heartbeat, stop))
            async with enriched.releasing():
                await work(enriched, sink, heartbeat, stop)


if __name__ == "__main__":
    sys.exit(run_worker(Settings, main))

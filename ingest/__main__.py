"""Ingest by itself: `python -m ingest`."""

import asyncio
import sys
import time
from functools import partial

from common.bus import INGEST, Keys, connect
from common.errors import AuthenticationFailed
from common.heap import keep_heap
from common.heartbeat import Heartbeat
from common.lifecycle import patiently, run_worker
from common.slot import slot
from ingest import connection
from ingest.capture import Capture
from ingest.config import Settings
from ingest.deliver import Delivery
from ingest.entity_filter import EntityFilter, Rules
from ingest.missing import Missing
from ingest.on_request import Requests
from ingest.protocol import Conversation
from ingest.refusal import Refusal
from ingest.snapshot import Publisher, Snapshots
from ingest.spool import open_spool
from ingest.worker import keep_connected

REGISTRY_WITHIN_S = 10.0
"""Seconds that the very first events wait until the registries are on the bus before them."""


async def main(settings: Settings, stop: asyncio.Event) -> None:
    """Wire the worker, and run it until `stop` is set.

    Raises:
        FatalError: When a person must act.
        Stopped: When `stop` was set while something was away; nothing is lost.
    """
    keep_heap()
    keys = Keys(settings.bus_prefix)
    passes = _filter_of(settings)
    refusal = Refusal(settings.ingest_spool_path, settings.ha_access_token.get_secret_value())
    refusal.check(time.time())
    with slot(INGEST, settings.worker_name, settings.redis_url, settings.bus_prefix) as name:
        async with (
            connect(settings.redis_url, keys) as bus,
            open_spool(settings.ingest_spool_path) as spool,
            asyncio.TaskGroup() as tasks,
        ):
            heartbeat = Heartbeat(bus, INGEST, name, {"spool": spool.identity})
            publisher = Publisher(bus)
            delivery = Delivery(spool, bus, heartbeat, publisher.restore)
            missing = Missing(spool, bus, settings.ha_home_name, settings.ha_backfill_hours)

            def listener() -> Capture:
                conversation = Conversation(
                    settings.ha_access_token.get_secret_value(), settings.ha_event_types
                )
                snapshots = Snapshots(conversation, settings.ha_home_name, publisher)
                return Capture(
                    *(conversation, snapshots, missing, spool, passes),
                    requests=Requests(bus),
                    home=settings.ha_home_name,
                    event_types=settings.ha_event_types,
                    heartbeat=heartbeat,
                    worker=name,
                )

            begin = partial(missing.begin, time.time_ns() // 1000)
            await patiently(begin, stop, "the disk")  # before anything is deleted from the spool
            captured_all = asyncio.Event()  # a stop for all but the capture, which ends first
            tasks.create_task(heartbeat.keep_beating(captured_all))
            tasks.create_task(
                delivery.keep_trimmed(
                    settings.ingest_spool_retention_hours * 3600,
                    settings.ingest_spool_max_mb * 2**20,
                    captured_all,
                )
            )
            tasks.create_task(delivery.keep_telling(captured_all))
            telling = tasks.create_task(missing.keep_telling(captured_all))
            publishing = tasks.create_task(publisher.keep_publishing(captured_all))
            sending = tasks.create_task(_send(delivery, publisher, captured_all))
            try:
                await keep_connected(
                    partial(connection.connect, settings.ha_websocket_url, settings.ha_ca_file),
                    listener,
                    heartbeat,
                    settings.ingest_queue_mb * 2**20,
                    stop,
                )
            except AuthenticationFailed as error:
                refusal.note(error, time.time())
                raise
            captured_all.set()
            await sending
            telling.cancel()
            publishing.cancel()


async def _send(delivery: Delivery, publisher: Publisher, captured_all: asyncio.Event) -> None:
    """Send what is spooled; the very first events only once the registries are known."""
    first = asyncio.create_task(publisher.first.wait())
    stopped = asyncio.create_task(captured_all.wait())
    try:
        await asyncio.wait(
            {first, stopped}, timeout=REGISTRY_WITHIN_S, return_when=asyncio.FIRST_COMPLETED
        )
    finally:
        first.cancel()
        stopped.cancel()
    await delivery.keep_sending(captured_all)


def _filter_of(settings: Settings) -> EntityFilter:
    return EntityFilter(
        Rules(
            settings.ha_include_domains,
            settings.ha_include_entities,
            settings.ha_include_entity_globs,
        ),
        Rules(
            settings.ha_exclude_domains,
            settings.ha_exclude_entities,
            settings.ha_exclude_entity_globs,
        ),
    )


if __name__ == "__main__":
    sys.exit(run_worker(Settings, main))

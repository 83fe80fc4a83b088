"""Serving requests, and looking at the ledger again and again."""

import asyncio
import contextlib
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from typing import Final

import uvicorn
from starlette.types import ASGIApp

from admin.desk import Desk
from admin.durability import weaknesses
from admin.link import Link
from admin.rates import Rates
from common.bus import Bus
from common.bus.server import describe
from common.errors import BusUnavailable
from common.ledger import read_ledger
from common.lifecycle import Stopped, patiently, pause
from common.logs import logger

log = logger(__name__)

SAMPLE_EVERY_S: Final = 2.0
"""Seconds between two looks at the ledger."""

EXAMINE_EVERY_S: Final = 15.0
"""Seconds between two looks at the settings of Redis."""

ACQUAINT_EVERY_S: Final = 15.0
"""Seconds between two looks at what passed on the stream `enriched`."""

GRACE_S: Final = 0.5
"""Seconds that requests under way have when admin stops."""

BACKLOG: Final = 100
"""Connections taken in one go, before those that are there are served again."""


class _Server(uvicorn.Server):
    """Leaves the signals to whoever runs it."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(app: ASGIApp, listener: socket.socket, stop: asyncio.Event) -> None:
    """Answer requests until `stop` is set; then end within a second, whoever is connected."""
    server = _Server(
        uvicorn.Config(
            app,
            http=Link,
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="error",  # what is no request is a client's matter, and could fill a disk
            access_log=False,
            server_header=False,
            proxy_headers=False,
            backlog=BACKLOG,
            timeout_keep_alive=30,
            # uvicorn takes whole seconds in its types, and hands them to asyncio.wait_for
            timeout_graceful_shutdown=GRACE_S,  # type: ignore[arg-type]
        )
    )
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
        server.should_exit = True
        await serving
    finally:
        stopping.cancel()
        serving.cancel()


async def keep_acquainted(desk: Desk, stop: asyncio.Event) -> None:
    """Hear of every entity that passes until `stop` is set, also while nobody asks."""
    while not stop.is_set():
        with suppress(BusUnavailable):
            await desk.lasts()
        await pause(stop, ACQUAINT_EVERY_S)


async def keep_sampling(bus: Bus, rates: Rates, stop: asyncio.Event) -> None:
    """Look at the ledger every `SAMPLE_EVERY_S` seconds until `stop` is set.

    Says so when Redis is away: nothing else in admin waits for it.
    """
    with suppress(Stopped):
        while not stop.is_set():
            ledger = await patiently(partial(read_ledger, bus), stop, "Redis")
            rates.add(time.monotonic(), ledger)
            rates.remember()
            await pause(stop, SAMPLE_EVERY_S)


async def keep_examining(desk: Desk, stop: asyncio.Event) -> None:
    """Look every `EXAMINE_EVERY_S` seconds, until `stop` is set, at what Redis may lose."""
    while not stop.is_set():
        with suppress(BusUnavailable):
            found = weaknesses(await describe(desk.bus))
            for weakness in found:
                if weakness not in (desk.weaknesses or ()):
                    (log.warning if weakness.is_wrong else log.info)(str(weakness))
            desk.weaknesses = found
        await pause(stop, EXAMINE_EVERY_S)

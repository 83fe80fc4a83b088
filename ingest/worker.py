"""Keeps a connection to Home Assistant, for ever."""

import asyncio
import random
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Final

from common.backoff import delays
from common.errors import HomeAssistantUnavailable
from common.heartbeat import Heartbeat
from common.lifecycle import pause
from common.logs import OncePerMinute, logger
from ingest.capture import Capture
from ingest.connection import Socket
from ingest.frames import Frames

LASTED_S: Final = 30.0
"""Seconds after which a connection counts as a success; the next wait is short again."""

log = logger(__name__)


async def keep_connected(
    connect: Callable[[], AbstractAsyncContextManager[Socket]],
    listener: Callable[[], Capture],
    heartbeat: Heartbeat,
    queue_bytes: int,
    stop: asyncio.Event,
) -> None:
    """Capture events until `stop` is set; after each lost connection make a new one.

    Args:
        connect: Opens a connection.
        listener: Makes what understands one connection.
        heartbeat: Told whether Home Assistant is there.
        queue_bytes: Bytes that may wait between socket and spool.
        stop: Ends it.

    Raises:
        AuthenticationFailed: When the token is refused; it is never tried again.
        InvalidSetting: When Home Assistant refuses an event type of the user.
    """
    warn = OncePerMinute(log.warning)
    waits = delays(random.random)
    while not stop.is_set():
        started = time.monotonic()
        sentence = "Cannot reach Home Assistant; trying again"
        try:
            async with connect() as socket:
                sentence = "Lost Home Assistant; connecting again"
                await listener().everything(socket, Frames(queue_bytes), stop)
        except HomeAssistantUnavailable as error:
            heartbeat.dependency("home_assistant", error)
            warn(str(error), sentence, error=str(error))
        if time.monotonic() - started > LASTED_S:
            waits = delays(random.random)
        await pause(stop, next(waits))

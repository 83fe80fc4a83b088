"""Calls what a command does, with the settings of the environment and an open connection."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from admin import own_redis
from admin.config import Settings
from common.bus import Bus, Keys, connect
from common.errors import BusUnavailable
from common.logs import start_logging

Answer = TypeVar("Answer")


def with_bus(work: Callable[[Bus, Settings], Awaitable[Answer]]) -> Answer:
    """Call `work` with the bus, and return what it answers.

    Raises:
        InvalidSetting: When a setting is wrong.
        BusUnavailable: When Redis does not answer.
    """
    settings = Settings.from_environment()
    start_logging()

    async def call() -> Answer:
        async with connect(settings.redis_url, Keys(settings.bus_prefix)) as bus:
            return await work(bus, settings)

    try:
        return asyncio.run(call())
    except BusUnavailable as error:
        if advice := own_redis.hint(settings):
            raise BusUnavailable(f"{error}; {advice}") from error
        raise

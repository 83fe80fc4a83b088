"""Calls what a command does, with the settings of the environment and an open connection."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from admin import own_redis
from admin.config import Settings
from common.bus import Bus, Keys, connect
from common.errors import BusUnavailable
from common.logs import start_logging
from common.sink import open_sink

if TYPE_CHECKING:
    from admin.desk import Desk

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


def with_desk(work: "Callable[[Desk], Awaitable[Answer]]") -> Answer:
    """Call `work` with the bus and the sink at a desk, and return what it answers.

    Raises:
        InvalidSetting: When a setting is wrong.
        BusUnavailable: When Redis does not answer.
        SinkUnavailable: When the sink does not.
    """

    async def call(bus: Bus, settings: Settings) -> Answer:
        from admin.desk import Desk  # noqa: PLC0415 - loads fastapi

        async with open_sink(settings) as sink:
            return await work(Desk(bus, sink, settings.ha_home_name))

    return with_bus(call)

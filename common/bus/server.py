"""The Redis server itself: what it is, how it keeps data, whose clock is right."""

import re
import time
from typing import Final

import msgspec
import redis.exceptions as redis_errors

from common.bus.connection import Bus
from common.errors import InvalidSetting

OLDEST_REDIS: Final = (6, 2)
"""Version of the oldest Redis that will do: older ones know no XPENDING IDLE, no XTRIM MINID."""


class ServerInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What a server says about itself; None where it does not, or must not, tell.

    Attributes:
        appendonly: Whether it writes what it does to a file.
        appendfsync: When that file is forced to the disk: `always`, `everysec` or `no`.
        saves: Whether it writes snapshots now and then.
        writes_fail: Whether its last write to that file failed.
        maxmemory_bytes: 0 for no limit.
        maxmemory_policy: What it does when it is full; only `noeviction` loses nothing.
        ahead_s: Seconds that its clock is ahead of ours.
    """

    version: str | None = None
    appendonly: bool | None = None
    appendfsync: str | None = None
    saves: bool | None = None
    writes_fail: bool = False
    maxmemory_bytes: int | None = None
    maxmemory_policy: str | None = None
    used_bytes: int | None = None
    ahead_s: float = 0.0

    @property
    def is_too_old(self) -> bool:
        """Whether it says a version before `OLDEST_REDIS`."""
        numbers = re.match(r"(\d+)\.(\d+)", self.version or "")
        return numbers is not None and tuple(map(int, numbers.groups())) < OLDEST_REDIS


async def describe(bus: Bus) -> ServerInfo:
    """Ask the server about itself.

    Raises:
        BusUnavailable: When it does not answer.
        InvalidSetting: When it refuses our password.
    """
    asked = time.time()
    seconds, us = await bus.command("TIME")
    ours = (asked + time.time()) / 2
    try:
        told = await bus.command("INFO")
    except (redis_errors.ResponseError, InvalidSetting):  # fakeredis has no INFO; an ACL
        told = {}
    save = await _setting(bus, "save")
    return ServerInfo(
        version=told.get("redis_version"),
        appendonly=bool(told["aof_enabled"]) if "aof_enabled" in told else None,
        appendfsync=await _setting(bus, "appendfsync"),
        saves=None if save is None else bool(save),
        writes_fail=told.get("aof_last_write_status", "ok") != "ok",
        maxmemory_bytes=told.get("maxmemory"),
        maxmemory_policy=told.get("maxmemory_policy"),
        used_bytes=told.get("used_memory"),
        ahead_s=int(seconds) + int(us) / 1e6 - ours,
    )


async def _setting(bus: Bus, name: str) -> str | None:
    try:
        found = await bus.command("CONFIG GET", name)
    except (redis_errors.ResponseError, InvalidSetting):  # hosted servers forbid CONFIG
        return None
    pairs = found.items() if isinstance(found, dict) else zip(found[::2], found[1::2], strict=True)
    values = {_text(key): _text(value) for key, value in pairs}
    return values.get(name)


def _text(word: str | bytes) -> str:
    return word.decode() if isinstance(word, bytes) else word

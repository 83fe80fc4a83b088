"""Running the Lua scripts: each changes streams and counts the change in one step."""

from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

import hiredis
import redis.exceptions as redis_errors
from redis.asyncio import Redis

from common.bus.entry import Field

_SAME_BUT_WHEN_FULL = {"overfill": "move", "reconcile": "ledger"}
"""Script → the one whose text it has with other flags."""


class Packed(NamedTuple):
    """A command as it goes over the wire, in place of its words.

    redis-py hands the words of a command on from call to call, and each copies all of them: the
    thousands of a batch are packed before.
    """

    wire: bytes


class Scripts:
    """Runs the scripts of this folder by name on one Redis."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._shas: dict[str, str] = {}

    async def run(self, name: str, keys: Sequence[str], args: Sequence[Field]) -> Any:  # noqa: ANN401
        """Run `<name>.lua`; redis-py's errors come through as they are."""
        for _ in range(2):
            sha = self._shas.get(name) or await self._load(name)
            words: tuple[Any, ...] = ("EVALSHA", sha, len(keys), *keys, *args)
            packed = Packed(hiredis.pack_command(words))
            try:
                return await self._redis.execute_command(  # type: ignore[no-untyped-call]
                    "EVALSHA", packed
                )
            except redis_errors.NoScriptError:  # Redis was restarted or its scripts flushed
                self._shas.pop(name, None)
        message = f"Redis forgets the script {name} at once"
        raise redis_errors.ConnectionError(message)

    async def _load(self, name: str) -> str:
        text = source(name)
        try:
            sha = await self._redis.script_load(text)
        except redis_errors.ResponseError:
            # Redis 6.2 knows no `#!lua flags=…` line; it also has no flags to set.
            sha = await self._redis.script_load(text.partition("\n")[2])
        self._shas[name] = str(sha)
        return self._shas[name]


@cache
def source(name: str) -> str:
    """Text of a script; its first line is `#!lua` with the flags it needs.

    `overfill` is `move` that also runs when Redis is full; `reconcile` is `ledger` that writes.
    """
    if name in _SAME_BUT_WHEN_FULL:
        _, _, text = source(_SAME_BUT_WHEN_FULL[name]).partition("\n")
        return f"#!lua flags=allow-oom\n{text}"
    return files("common.bus.scripts").joinpath(f"{name}.lua").read_text("utf-8")

"""The connection to Redis, and what its errors mean."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import hiredis
import redis.exceptions as redis_errors
from redis.asyncio import (
    BlockingConnectionPool,
    Connection,
    ConnectionPool,
    Redis,
    SSLConnection,
)
from redis.asyncio.connection import AbstractConnection, UnixDomainSocketConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from common.bus.entry import Field
from common.bus.keys import Keys
from common.bus.kinds import wrong_kinds
from common.bus.script import Packed, Scripts
from common.errors import BusUnavailable, InvalidSetting

CONNECT_TIMEOUT_S = 5.0
"""Seconds to open a connection."""

ANSWER_TIMEOUT_S = 8.0
"""Seconds without an answer after which Redis counts as away; above every BLOCK we use."""

_WAITS = (
    *("MISCONF", "LOADING", "BUSY ", "NOREPLICAS", "CLUSTERDOWN", "MASTERDOWN"),
    *("READONLY", "OOM", "TRYAGAIN", "UNKILLABLE"),
)


_NEVER = {
    "DB index is out of range": "take another number at its end, such as 0",
    "too old: this is Redis": "habus needs Redis 6.2 or newer, or Valkey",
}
"""Words of a refusal that no waiting ends, Redis's or of our scripts → what to do."""


class _WrongKind(BusUnavailable):
    """A key holds something else than what the command is for."""


class Bus:
    """One pipeline in one Redis: the keys, and every command and script that habus sends.

    Args:
        redis: The client.
        keys: Names of the keys.
    """

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis = redis
        self._scripts = Scripts(redis)
        self.keys = keys

    async def command(self, *words: Any) -> Any:  # noqa: ANN401 - a reply of any shape
        """Send one command, once.

        Raises:
            BusUnavailable: When Redis does not answer, or refuses for now.
            redis.exceptions.ResponseError: When Redis refuses for another reason.
        """
        try:
            with translated():
                return await self._redis.execute_command(*words)  # type: ignore[no-untyped-call]
        except _WrongKind as error:
            raise await self._named(error) from error

    async def commands(self, *commands: tuple[Any, ...], atomic: bool = False) -> list[Any]:
        """Send several commands in one go; with `atomic` none runs between them.

        Raises:
            BusUnavailable: When Redis does not answer, or refuses for now.
        """
        try:
            with translated():
                async with self._redis.pipeline(transaction=atomic) as pipe:
                    for words in commands:
                        pipe.execute_command(*words)
                    replies: list[Any] = await pipe.execute()
                    return replies
        except _WrongKind as error:
            raise await self._named(error) from error

    async def run(
        self,
        script: str,
        keys: Sequence[str],
        *args: Field,
        many: Sequence[Field] = (),
    ) -> Any:  # noqa: ANN401 - a reply of any shape
        """Run a script of the folder `scripts`; it gets `args`, and after them `many`.

        Raises:
            BusUnavailable: When Redis does not answer, or refuses for now.
            redis.exceptions.ResponseError: When Redis or the script refuses for another reason.
        """
        try:
            with translated():
                return await self._scripts.run(script, keys, [*args, *many])
        except _WrongKind as error:
            raise await self._named(error) from error

    async def _named(self, error: BusUnavailable) -> BusUnavailable:
        """The same error with the name of the key, and what to do about it."""
        return BusUnavailable(await self.wrong_kinds() or str(error))

    async def wrong_kinds(self) -> str:
        """Return a sentence that names each key of the wrong type and what to do; or nothing.

        Raises:
            BusUnavailable: When Redis does not answer.
        """
        with translated():
            return await wrong_kinds(self._redis, self.keys)

    async def ping(self) -> None:
        """Return when Redis answers.

        Raises:
            BusUnavailable: When it does not.
        """
        await self.command("PING")

    async def read_hash(self, key: str) -> dict[str, bytes]:
        """Every field of a hash; empty when the key is not there.

        Raises:
            BusUnavailable: When Redis does not answer.
        """
        fields: dict[bytes, bytes] = await self.command("HGETALL", key)
        return {name.decode("utf-8", "replace"): value for name, value in fields.items()}

    async def read_field(self, key: str, field: str) -> bytes | None:
        """One field of a hash, or None.

        Raises:
            BusUnavailable: When Redis does not answer.
        """
        value: bytes | None = await self.command("HGET", key, field)
        return value

    async def write_hash(
        self, key: str, fields: Mapping[str, str | bytes | int], expire_s: int | None = None
    ) -> None:
        """Set fields of a hash; with `expire_s` the key goes after so many seconds.

        Raises:
            BusUnavailable: When Redis does not answer, or is full.
        """
        write = ("HSET", key, *(part for pair in fields.items() for part in pair))
        expire = () if expire_s is None else (("EXPIRE", key, expire_s),)
        await self.commands(write, *expire, atomic=True)

    async def delete(self, key: str) -> None:
        """Remove a key.

        Raises:
            BusUnavailable: When Redis does not answer.
        """
        await self.command("DEL", key)

    async def hashes(self, pattern: str) -> dict[str, dict[str, bytes]]:
        """Every hash whose key matches a glob pattern, by key in order.

        Raises:
            BusUnavailable: When Redis does not answer.
        """
        with translated():
            found = sorted(
                [key.decode(errors="replace") async for key in self._redis.scan_iter(match=pattern)]
            )
        pairs = [(key, await self.read_hash(key)) for key in found]
        return {key: fields for key, fields in pairs if fields}


@asynccontextmanager
async def connect(
    url: str, keys: Keys | None = None, most: int | None = None
) -> AsyncIterator[Bus]:
    """Open a bus; the first command opens the connection.

    Every command is sent once: what to do after a lost answer is decided by who sent it.

    Args:
        url: `redis://`, `rediss://` or `unix://`, as settings check it.
        keys: Names of the keys; of prefix `ha` when None.
        most: Connections at once, for which commands wait; None: as many as there are commands.
    """
    pool: ConnectionPool = (ConnectionPool if most is None else BlockingConnectionPool).from_url(
        url,
        **({} if most is None else {"max_connections": most, "timeout": ANSWER_TIMEOUT_S}),
        # redis-py would repeat an XADD whose answer was lost, and so write it twice.
        retry=Retry(NoBackoff(), 0),
        protocol=2,
        socket_timeout=ANSWER_TIMEOUT_S,
        socket_connect_timeout=CONNECT_TIMEOUT_S,
        **({} if url.startswith("unix:") else {"socket_keepalive": True}),
        health_check_interval=0,
    )
    pool.connection_class = _PACKING[pool.connection_class]
    redis = Redis(connection_pool=pool)
    # Entries stay flat lists of bytes: a dict for each would cost more than the network.
    for command in ("XREADGROUP", "XCLAIM", "XPENDING"):
        redis.set_response_callback(command, _as_it_came)  # type: ignore[arg-type]
    try:
        yield Bus(redis, keys or Keys())
    finally:
        await redis.aclose()
        await pool.disconnect()


@contextmanager
def translated() -> Iterator[None]:
    """Turn redis-py's errors into ours.

    Raises:
        BusUnavailable: For what passes, or for what a person can mend while everything waits.
        InvalidSetting: When Redis refuses our password or our database, or is too old.
    """
    try:
        yield
    except (redis_errors.AuthenticationError, redis_errors.NoPermissionError) as error:
        message = f"REDIS_URL: Redis refuses us ({error}); check user and password"
        raise InvalidSetting(message) from error
    except redis_errors.InvalidResponse as error:
        message = f"what answers is no Redis; is REDIS_URL right? ({error})"
        raise BusUnavailable(message) from error
    except (redis_errors.ConnectionError, redis_errors.TimeoutError, OSError) as error:
        message = f"Redis does not answer; is it running, and is REDIS_URL right? ({error})"
        raise BusUnavailable(message) from error
    except redis_errors.ResponseError as error:
        text = str(error)
        if "WRONGTYPE" in text or "UNBLOCKED" in text:  # while a read waited at that key
            message = f"Redis refuses: {text}"
            raise _WrongKind(message) from error
        if isinstance(error, redis_errors.OutOfMemoryError | redis_errors.ReadOnlyError) or any(
            word in text for word in _WAITS
        ):
            message = f"Redis refuses: {text}"
            raise BusUnavailable(message) from error
        if advice := next((_NEVER[words] for words in _NEVER if words in text), ""):
            raise InvalidSetting(f"REDIS_URL: Redis refuses us ({text}); {advice}") from error
        raise


def _as_it_came(reply: Any, **_options: Any) -> Any:  # noqa: ANN401 - a reply of any shape
    return reply


class _Packing(AbstractConnection):
    """Packs commands in C, five times faster than redis.asyncio's own packer."""

    def pack_command(self, *args: Any) -> list[bytes]:  # noqa: ANN401 - as redis-py has it
        if isinstance(args[-1], Packed):
            return [args[-1].wire]
        # redis-py names some commands with a space: XINFO STREAM
        name = args[0].encode() if isinstance(args[0], str) else args[0]
        return [hiredis.pack_command((*name.split(), *args[1:]))]

    async def send_packed_command(
        self,
        command: bytes | str | Iterable[bytes],
        check_health: bool = True,  # noqa: ARG002, FBT001, FBT002 - redis-py's signature
    ) -> None:
        """Send as redis-py does, but for its `asyncio.wait_for`.

        In Python 3.11 that may swallow a cancellation, and the task goes on for ever.
        Source: https://github.com/python/cpython/issues/86296
        """
        if not self.is_connected:
            await self.connect_check_health(check_health=False)
        try:
            async with asyncio.timeout(self.socket_timeout):
                self._writer.writelines(command)  # type: ignore[arg-type, union-attr]
                await self._writer.drain()  # type: ignore[union-attr]
        except BaseException:
            await self.disconnect(nowait=True)
            raise


class _PackingTcp(_Packing, Connection):
    pass


class _PackingTls(_Packing, SSLConnection):
    pass


class _PackingUnix(_Packing, UnixDomainSocketConnection):
    pass


_PACKING: dict[type[Any], type[Any]] = {
    Connection: _PackingTcp,
    SSLConnection: _PackingTls,
    UnixDomainSocketConnection: _PackingUnix,
}

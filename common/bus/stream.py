"""A stream as people look at it: its entries, its groups, who holds what."""

import time
from typing import Any

import msgspec
import redis.exceptions as redis_errors

from common.bus.connection import Bus
from common.bus.entry import fields_of
from common.event import Event


class Entry(msgspec.Struct, frozen=True):
    """An entry of a stream, as `redis-cli` shows it.

    Attributes:
        entry_id: `<ms>-<n>`.
        fields: Names and values as text.
    """

    entry_id: str
    fields: dict[str, str]


class ConsumerInfo(msgspec.Struct, frozen=True):
    """A consumer of a group: `idle_s` seconds since it last asked."""

    name: str
    pending: int
    idle_s: float


class GroupInfo(msgspec.Struct, frozen=True):
    """A consumer group of a stream.

    Attributes:
        pending: Entries delivered and not acknowledged.
        lag: Entries not delivered yet; None where Redis cannot tell.
        lag_s: Age in seconds of the oldest entry not acknowledged; 0 when there is none.
        last_delivered_id: The newest entry that was delivered.
    """

    name: str
    pending: int
    lag: int | None
    lag_s: float
    last_delivered_id: str
    consumers: list[ConsumerInfo]


class StreamInfo(msgspec.Struct, frozen=True):
    """What Redis says about a stream.

    Attributes:
        memory_bytes: Bytes it takes, None where the server cannot tell.
        entries_added: Entries ever added, None before Redis 7.
    """

    name: str
    key: str
    length: int
    memory_bytes: int | None
    first_id: str | None
    last_id: str | None
    entries_added: int | None
    groups: list[GroupInfo]


class Streams:
    """Reads the four streams; appends what a person hands in.

    Args:
        bus: Where they are.
    """

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def info(self, name: str) -> StreamInfo:
        """Describe the stream `raw`, `inbox`, `enriched` or `dead`; one that is not there is empty.

        Raises:
            BusUnavailable: When Redis does not answer.
        """
        key = self._bus.keys.streams[name]
        try:
            stream = await self._bus.command("XINFO STREAM", key)
            groups = await self._bus.command("XINFO GROUPS", key)
        except redis_errors.ResponseError as error:
            if "no such key" not in str(error):
                raise
            return StreamInfo(name, key, 0, 0, None, None, None, [])
        return StreamInfo(
            name=name,
            key=key,
            length=stream["length"],
            memory_bytes=await self._memory(key),
            first_id=_id_of(stream["first-entry"]),
            last_id=stream["last-generated-id"].decode(),
            entries_added=stream.get("entries-added"),
            groups=[await self._group(key, group) for group in groups],
        )

    async def newest(self, name: str, limit: int, before: str | None = None) -> list[Entry]:
        """The newest entries first; with `before` those older than that entry.

        Raises:
            BusUnavailable: When Redis does not answer.
        """
        highest = f"({before}" if before else "+"
        key = self._bus.keys.streams[name]
        rows = await self._bus.command("XREVRANGE", key, highest, "-", "COUNT", limit)
        return [_entry(row) for row in rows]

    async def after(self, name: str, entry_id: str, limit: int) -> list[Entry]:
        """The entries that follow an entry id, oldest first.

        Raises:
            BusUnavailable: When Redis does not answer.
        """
        key = self._bus.keys.streams[name]
        rows = await self._bus.command("XRANGE", key, f"({entry_id}", "+", "COUNT", limit)
        return [_entry(row) for row in rows]

    async def entry(self, name: str, entry_id: str) -> Entry | None:
        """One entry; None when it is not there (any more).

        Raises:
            BusUnavailable: When Redis does not answer.
        """
        key = self._bus.keys.streams[name]
        rows = await self._bus.command("XRANGE", key, entry_id, entry_id)
        return _entry(rows[0]) if rows else None

    async def holds(self, name: str, group: str, entry_id: str) -> bool:
        """Whether a group has been given an entry and has not acknowledged it.

        Raises:
            BusUnavailable: When Redis does not answer.
        """
        key = self._bus.keys.streams[name]
        try:
            return bool(await self._bus.command("XPENDING", key, group, entry_id, entry_id, 1))
        except redis_errors.ResponseError as error:
            if "NOGROUP" not in str(error):
                raise
            return False

    async def next_after(self, name: str, entry_id: str, limit: int, wait_ms: int) -> list[Entry]:
        """The entries that follow an entry id, oldest first; waits for the first of them.

        Args:
            name: `raw`, `inbox`, `enriched` or `dead`.
            entry_id: The last one that is known.
            limit: Most entries.
            wait_ms: Milliseconds after which the answer is empty.

        Raises:
            BusUnavailable: When Redis does not answer.
        """
        key = self._bus.keys.streams[name]
        words = ("BLOCK", wait_ms, "COUNT", limit, "STREAMS", key, entry_id)
        found = await self._bus.command("XREAD", *words)
        return [_entry(row) for _, rows in found or () for row in rows]

    async def last_id(self, name: str) -> str:
        """The id of the entry added last, also when it is gone; `0-0` when there was none.

        Raises:
            BusUnavailable: When Redis does not answer.
        """
        try:
            stream = await self._bus.command("XINFO STREAM", self._bus.keys.streams[name])
        except redis_errors.ResponseError as error:
            if "no such key" not in str(error):
                raise
            return "0-0"
        return str(stream["last-generated-id"].decode())

    async def inject(self, event: Event) -> str:
        """Append an event to the inbox, count it as captured, and return its entry id.

        Raises:
            BusUnavailable: When Redis does not answer, or is full.
        """
        keys = self._bus.keys
        entry_id = await self._bus.run("inject", (keys.inbox, keys.ledger), *fields_of(event))
        return str(entry_id.decode())

    async def _group(self, key: str, group: dict[str, Any]) -> GroupInfo:
        last = group["last-delivered-id"].decode()
        consumers = await self._bus.command("XINFO CONSUMERS", key, group["name"])
        unread = await self._bus.command("XRANGE", key, f"({last}", "+", "COUNT", 1)
        _, oldest, _, _ = await self._bus.command("XPENDING", key, group["name"])
        waiting = [entry_id for entry_id in (oldest, _id_bytes(unread)) if entry_id]
        return GroupInfo(
            name=group["name"].decode(),
            pending=group["pending"],
            lag=group.get("lag"),
            lag_s=max((_age_s(entry_id) for entry_id in waiting), default=0.0),
            last_delivered_id=last,
            consumers=[
                ConsumerInfo(c["name"].decode(), c["pending"], c["idle"] / 1000) for c in consumers
            ],
        )

    async def _memory(self, key: str) -> int | None:
        try:
            size: int | None = await self._bus.command("MEMORY USAGE", key)
        except redis_errors.ResponseError:  # fakeredis has no MEMORY USAGE
            return None
        return size


def _entry(row: tuple[bytes, dict[bytes, bytes]]) -> Entry:
    entry_id, fields = row
    text = {n.decode("utf-8", "replace"): v.decode("utf-8", "replace") for n, v in fields.items()}
    return Entry(entry_id.decode(), text)


def _id_of(row: tuple[bytes, object] | None) -> str | None:
    return row[0].decode() if row else None


def _id_bytes(rows: list[tuple[bytes, object]]) -> bytes | None:
    return rows[0][0] if rows else None


def _age_s(entry_id: bytes) -> float:
    return max(0.0, time.time() - int(entry_id.partition(b"-")[0]) / 1000)

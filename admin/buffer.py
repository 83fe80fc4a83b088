"""How long Redis can hold what comes while the sink is away."""

from collections.abc import Sequence
from typing import Final

from common.bus.room import STOP_AT
from common.bus.server import ServerInfo
from common.bus.stream import StreamInfo

SHORTEST_SPAN_S: Final = 60.0
"""Seconds that entries must span for their rate to mean anything."""


def hours_left(server: ServerInfo, streams: Sequence[StreamInfo]) -> float | None:
    """Hours until Redis is full, at the rate of the entries that it still holds.

    What everyone has acknowledged is deleted when room gets short, so it counts as room. The
    spool on disk comes on top.

    Returns:
        None where Redis has no limit, or too little has passed to know the rate.
    """
    enriched = next((stream for stream in streams if stream.name == "enriched"), None)
    if enriched is None or not server.maxmemory_bytes or server.used_bytes is None:
        return None
    per_second = _bytes_per_second(enriched)
    if per_second is None:
        return None
    room = server.maxmemory_bytes * STOP_AT - server.used_bytes
    room += sum(_acknowledged_bytes(stream) for stream in streams if stream.name != "dead")
    return max(0.0, room / per_second / 3600)


def backlog(stream: StreamInfo) -> int | None:
    """Entries that some group has not acknowledged; None where Redis cannot tell."""
    counts = [None if group.lag is None else group.lag + group.pending for group in stream.groups]
    known = [count for count in counts if count is not None]
    return None if len(known) < len(counts) else max(known, default=0)


def _bytes_per_second(stream: StreamInfo) -> float | None:
    if not (stream.memory_bytes and stream.first_id and stream.last_id):
        return None
    span_s = (_ms(stream.last_id) - _ms(stream.first_id)) / 1000
    return stream.memory_bytes / span_s if span_s >= SHORTEST_SPAN_S else None


def _acknowledged_bytes(stream: StreamInfo) -> float:
    waiting = backlog(stream)
    if waiting is None or not stream.memory_bytes or not stream.length:
        return 0.0
    return stream.memory_bytes * max(0.0, 1 - waiting / stream.length)


def _ms(entry_id: str) -> int:
    return int(entry_id.partition("-")[0])

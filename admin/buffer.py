"""How long Redis, and then the spool, can hold what comes while the sink is away."""

from collections.abc import Sequence
from typing import Final

from common.bus.room import HOLD_AT
from common.bus.server import ServerInfo
from common.bus.stream import StreamInfo
from common.heartbeat import Pulse

SHORTEST_SPAN_S: Final = 60.0
"""Seconds that entries must span for their rate to mean anything."""

FEWEST_PER_S: Final = 0.001
"""Events a second below which a home counts as silent."""


def hours_left(
    server: ServerInfo, streams: Sequence[StreamInfo], pulses: Sequence[Pulse] = ()
) -> float | None:
    """Hours until nothing more can be kept, at the rate of the entries that Redis still holds.

    Redis fills first, to where ingest stops, then the disk under the spool. What is settled, or
    was sent, is deleted when room gets short, so it counts as room.

    Args:
        server: How large Redis may become.
        streams: What it holds.
        pulses: Heartbeats; that of ingest tells of its disk, which else counts as full.

    Returns:
        None where Redis has no limit, or too little has passed to know the rate.
    """
    enriched = next((stream for stream in streams if stream.name == "enriched"), None)
    if enriched is None or not server.maxmemory_bytes or server.used_bytes is None:
        return None
    span_s = _span_s(enriched)
    if not enriched.memory_bytes or span_s < SHORTEST_SPAN_S:
        return None
    bytes_per_s, events_per_s = enriched.memory_bytes / span_s, enriched.length / span_s
    room = server.maxmemory_bytes * HOLD_AT - server.used_bytes
    room += sum(_acknowledged_bytes(stream) for stream in streams if stream.name != "dead")
    in_redis_s = max(0.0, room / bytes_per_s)
    in_spool_s = sum(_spool_events(pulse) for pulse in pulses) / max(events_per_s, FEWEST_PER_S)
    return (in_redis_s + in_spool_s) / 3600


def backlog(stream: StreamInfo) -> int | None:
    """Entries that some group has not acknowledged; None where Redis cannot tell."""
    counts = [None if group.lag is None else group.lag + group.pending for group in stream.groups]
    known = [count for count in counts if count is not None]
    return None if len(known) < len(counts) else max(known, default=0)


def _span_s(stream: StreamInfo) -> float:
    """Seconds between the first and the last entry."""
    if not (stream.first_id and stream.last_id):
        return 0.0
    return (_ms(stream.last_id) - _ms(stream.first_id)) / 1000


def _spool_events(pulse: Pulse) -> float:
    """Events for which the spool has room; 0 for a worker without a spool."""
    if pulse.spool_event_bytes <= 0:
        return 0.0
    sent_bytes = max(0, pulse.spool_bytes - pulse.spool_unsent * pulse.spool_event_bytes)
    return (pulse.spool_free_bytes + sent_bytes) / pulse.spool_event_bytes


def _acknowledged_bytes(stream: StreamInfo) -> float:
    waiting = backlog(stream)
    if waiting is None or not stream.memory_bytes or not stream.length:
        return 0.0
    return stream.memory_bytes * max(0.0, 1 - waiting / stream.length)


def _ms(entry_id: str) -> int:
    return int(entry_id.partition("-")[0])

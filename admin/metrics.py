"""Everything that Prometheus may want to know, from one look at the pipeline."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from admin.buffer import backlog, hours_left
from admin.desk import Overview
from admin.health import Signs, age_s, judge
from common import __version__
from common.bus import STAGES, StreamInfo
from common.bus.server import ServerInfo
from common.heartbeat import Pulse
from common.latency import BOUNDS_S
from common.ledger import COUNTERS, Ledger

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
"""Source: https://prometheus.io/docs/instrumenting/exposition_formats/"""

_GAUGES_OF_THE_LEDGER: Final = frozenset({"dead"})
"""Counters of the ledger that also go down."""


def exposition(overview: Overview, now: datetime) -> bytes:
    """Write the numbers as Prometheus reads them."""
    registry = CollectorRegistry()
    registry.register(_Scrape(overview, now))
    return generate_latest(registry)


class _Scrape(Collector):
    """One look at the pipeline, in Prometheus's words."""

    def __init__(self, overview: Overview, now: datetime) -> None:
        self._overview = overview
        self._now = now

    def collect(self) -> Iterator[Metric]:
        """Yield every family of metrics."""
        seen = self._overview
        yield _gauge("habus_info", "Version of habus.", [({"version": __version__}, 1)])
        yield from _of_workers(seen.pulses, seen.redis_error, self._now)
        if seen.ledger is not None:
            yield from _of_streams(seen.streams)
            yield from _of_ledger(seen.ledger, seen.per_second)
            yield _gauge(
                "habus_dead_letters_by_reason",
                "Dead letters now, by stage and reason.",
                [
                    ({"stage": stage, "reason": reason}, count)
                    for (stage, reason), count in sorted(seen.reasons.items())
                ],
            )
            if seen.weaknesses is not None:
                text = "1 when Redis keeps all that it takes, 0 when its settings may lose some."
                yield _gauge("habus_redis_durability", text, float(not seen.weaknesses))
            yield _gauge("habus_gaps_open", "Times of which events are missing.", len(seen.gaps))
            if seen.server is not None:
                yield from _of_server(
                    seen.server, hours_left(seen.server, seen.streams, seen.pulses)
                )


def _of_workers(
    pulses: Iterable[Pulse], redis_error: str | None, now: datetime
) -> Iterator[Metric]:
    heard = list(pulses)
    health = judge(heard, Signs(redis_error), now, version=__version__, uptime=0.0)
    yield _gauge(
        "habus_dependency_up",
        "1 up, 0 down; absent while nobody knows.",
        [
            ({"dependency": name}, float(found.status == "up"))
            for name, found in health.dependencies.items()
            if found.status != "unknown"
        ],
    )
    if redis_error is not None:
        return
    yield _gauge(
        "habus_worker_up",
        "1 when the stage has a living worker.",
        [({"stage": stage}, float(any(p.stage == stage for p in heard))) for stage in STAGES],
    )
    yield _gauge(
        "habus_worker_heartbeat_age_seconds",
        "Seconds since a worker's last heartbeat.",
        [({"stage": p.stage, "worker": p.name}, age_s(p.beat, now)) for p in heard],
    )
    done = CounterMetricFamily(
        "habus_worker_done",
        "What a worker has done since it started.",
        labels=["stage", "worker", "what"],
    )
    for pulse in heard:
        for what, count in pulse.counters.items():
            done.add_metric([pulse.stage, pulse.name, what], count)
    yield done
    yield _of_hops(heard)


def _of_hops(pulses: Iterable[Pulse]) -> Metric:
    """Buckets without a sum: to add up each event's time would cost more than to count it."""
    family = Metric(
        "habus_hop_duration_seconds", "Time that events took on a hop; no sum.", "histogram"
    )
    bounds = [*map(str, BOUNDS_S), "+Inf"]
    for pulse in pulses:
        for hop, counts in pulse.latency.items():
            labels = {"hop": hop, "worker": pulse.name}
            if len(counts) != len(bounds):  # of another version: nobody can tell
                continue
            total = 0
            for bound, count in zip(bounds, counts, strict=True):
                total += count
                family.add_sample(f"{family.name}_bucket", {**labels, "le": bound}, total)
            family.add_sample(f"{family.name}_count", labels, total)
    return family


def _of_server(server: ServerInfo, hours: float | None) -> Iterator[Metric]:
    if server.used_bytes is not None:
        yield _gauge("habus_redis_memory_bytes", "Bytes that Redis uses.", server.used_bytes)
    if server.maxmemory_bytes:
        text = "Bytes that Redis may use; absent without a limit."
        yield _gauge("habus_redis_memory_limit_bytes", text, server.maxmemory_bytes)
    if hours is not None:
        text = "Hours that Redis, then the spool, can hold what comes while the sink is away."
        yield _gauge("habus_buffer_hours", text, hours)


def _of_streams(streams: Iterable[StreamInfo]) -> Iterator[Metric]:
    found = list(streams)
    groups = [
        ({"stream": stream.name, "group": group.name}, group)
        for stream in found
        for group in stream.groups
    ]
    yield _gauge(
        "habus_stream_length",
        "Entries in a stream.",
        [({"stream": stream.name}, stream.length) for stream in found],
    )
    yield _gauge(
        "habus_stream_memory_bytes",
        "Bytes that a stream takes in Redis.",
        [
            ({"stream": stream.name}, stream.memory_bytes)
            for stream in found
            if stream.memory_bytes is not None
        ],
    )
    yield _gauge(
        "habus_stream_backlog",
        "Entries that some group has not acknowledged; absent while Redis cannot tell.",
        [
            ({"stream": stream.name}, waiting)
            for stream in found
            if stream.groups and (waiting := backlog(stream)) is not None
        ],
    )
    yield _gauge(
        "habus_group_pending",
        "Entries delivered and not acknowledged.",
        [(labels, group.pending) for labels, group in groups],
    )
    yield _gauge(
        "habus_group_lag",
        "Entries not delivered yet; absent while Redis cannot tell.",
        [(labels, group.lag) for labels, group in groups if group.lag is not None],
    )
    yield _gauge(
        "habus_group_lag_seconds",
        "Age of the oldest entry that is not acknowledged.",
        [(labels, group.lag_s) for labels, group in groups],
    )


def _of_ledger(ledger: Ledger, per_second: Mapping[str, float]) -> Iterator[Metric]:
    events = CounterMetricFamily("habus_events", "Events by what became of them.", labels=["fate"])
    for name in COUNTERS:
        if name not in _GAUGES_OF_THE_LEDGER:
            events.add_metric([name], getattr(ledger, name))
    yield events
    yield _gauge(
        "habus_events_per_second",
        "Events a second in the last minute, by what became of them.",
        [
            ({"fate": name}, rate)
            for name, rate in per_second.items()
            if name not in _GAUGES_OF_THE_LEDGER
        ],
    )
    yield _gauge("habus_dead_letters", "Dead letters now.", ledger.dead)
    if ledger.in_flight is not None:
        yield _gauge("habus_events_in_flight", "Events on their way.", ledger.in_flight)
    if ledger.unaccounted is not None:
        yield _gauge("habus_events_unaccounted", "Must be 0 at every instant.", ledger.unaccounted)


def _gauge(
    name: str, text: str, values: float | list[tuple[dict[str, str], float]]
) -> GaugeMetricFamily:
    if not isinstance(values, list):
        return GaugeMetricFamily(name, text, value=values)
    labels = list(values[0][0]) if values else []
    family = GaugeMetricFamily(name, text, labels=labels)
    for labelled, value in values:
        family.add_metric([labelled[label] for label in labels], value)
    return family

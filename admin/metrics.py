"""Everything that Prometheus may want to know, from one look at the pipeline."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from admin.desk import Overview
from admin.health import Signs, age_s, judge
from common import __version__
from common.bus import STAGES, StreamInfo
from common.heartbeat import Pulse
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
            yield from _of_ledger(seen.ledger)
            if seen.weaknesses is not None:
                text = "1 when Redis keeps all that it takes, 0 when its settings may lose some."
                yield _gauge("habus_redis_durability", text, float(not seen.weaknesses))
            yield _gauge("habus_gaps_open", "Times of which events are missing.", len(seen.gaps))


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


def _of_ledger(ledger: Ledger) -> Iterator[Metric]:
    events = CounterMetricFamily("habus_events", "Events by what became of them.", labels=["fate"])
    for name in COUNTERS:
        if name not in _GAUGES_OF_THE_LEDGER:
            events.add_metric([name], getattr(ledger, name))
    yield events
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

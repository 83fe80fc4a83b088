"""What the bench computes: pure functions of what it measured."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

ROUNDED_EVERY_US, ROUNDED_US = 10_000_000, 20_000
"""Around each full 10 s the simulator sets the time of an event back by up to 20 ms."""

ENOUGH_FOR_P99 = 100
"""Samples below which a 99th percentile is only another word for the maximum."""


@dataclass(frozen=True)
class Verdict:
    """What became of the events that were sent.

    Attributes:
        sent: Events that the oracle says were written to the socket.
        stored: Of these, how many were in at least one write that was answered with 204.
        twice: Writes beyond the first of any event.
        strange: Stored events that the oracle has never seen.
    """

    sent: int
    stored: int
    twice: int
    strange: int

    @property
    def missing(self) -> int:
        """Sent, and not stored."""
        return self.sent - self.stored


def verdict(happened: Mapping[int, bool], stored: Iterable[int]) -> Verdict:
    """Compare the oracle with what was stored; the time of an event in microseconds names it.

    Args:
        happened: Time → whether it was written to the socket, or only happened.
        stored: Times of the points, each as often as it was written.
    """
    writes = Counter(stored)
    return Verdict(
        sent=sum(happened.values()),
        stored=sum(happened.get(us, False) for us in writes),
        twice=writes.total() - len(writes),
        strange=sum(us not in happened for us in writes),
    )


def latencies_ms(
    happened: Mapping[int, bool], answered_ns: Mapping[int, int], span_us: tuple[int, int]
) -> list[float]:
    """Milliseconds from an event's time to the 204, for each event sent within the span.

    Args:
        happened: Time in microseconds → whether it was written to the socket.
        answered_ns: The same time → when its first write was answered, nanoseconds since 1970.
        span_us: First and last microsecond.
    """
    start, end = span_us
    return [
        (answered_ns[us] - us * 1000) / 1e6
        for us, is_sent in happened.items()
        if is_sent and us in answered_ns and start <= us <= end and not _is_rounded(us)
    ]


def _is_rounded(us: int) -> bool:
    return us % ROUNDED_EVERY_US < ROUNDED_US


def percentile(samples: Sequence[float], percent: float) -> float:
    """The smallest sample that at least so many percent of all do not exceed (nearest rank).

    Raises:
        ValueError: When there are no samples.
    """
    if not samples:
        raise ValueError("no samples")
    return sorted(samples)[max(0, math.ceil(percent / 100 * len(samples)) - 1)]


def spread(samples: Sequence[float]) -> str:
    """Median, 99th percentile and maximum as text."""
    if not samples:
        return "no samples"
    p99 = f"{percentile(samples, 99):.1f}" if len(samples) >= ENOUGH_FOR_P99 else "–"
    return f"{percentile(samples, 50):.1f} / {p99} / {max(samples):.1f}"


def medians(runs: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The median of each figure that every run has."""
    return {name: median(run[name] for run in runs) for name in runs[0]}


def spent(
    before: Mapping[str, float], after: Mapping[str, float], share: float
) -> dict[str, float]:
    """What each process used between two readings, divided by `share`."""
    return {name: (after[name] - before[name]) / share for name in before}


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Rows of text as a Markdown table; figures, in the second column, are flush right.

    A row shorter than the head is a heading.
    """
    full = [[*row, *[""] * (len(head) - len(row))] for row in (head, *rows)]
    widths = [max(len(row[column]) for row in full) for column in range(len(head))]
    rule = [
        "-" * (width - 1) + (":" if column == 1 else "-") for column, width in enumerate(widths)
    ]
    return "\n".join(
        "| " + " | ".join(_padded(cell, widths[i], i) for i, cell in enumerate(row)) + " |"
        for row in (full[0], rule, *full[1:])
    )


def _padded(cell: str, width: int, column: int) -> str:
    return cell.rjust(width) if column == 1 else cell.ljust(width)

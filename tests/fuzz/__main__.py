"""Hands habus what nobody should: `python -m tests.fuzz [BOUNDARY]`.

`SEED` repeats a run (1 by default); `COUNT` is how many inputs all boundaries get together.
"""

import asyncio
import logging
import os
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import structlog

from tests.fuzz import admin, entries, frames, history, influxdb, spool_files
from tests.fuzz.report import Report

Tries = Callable[[int, int], Awaitable[Report]]
"""Seed and number of inputs → what became of them."""

BOUNDARIES: Final[Mapping[str, tuple[Tries, float]]] = {
    "frames of the WebSocket": (frames.tries, 0.40),
    "history, states, registries": (history.tries, 0.20),
    "answers of InfluxDB": (influxdb.tries, 0.17),
    "entries by strangers": (entries.tries, 0.12),
    "requests to admin": (admin.tries, 0.08),
    "files of the spool": (spool_files.tries, 0.03),
}
"""What comes in → who tries it, and its share of the inputs."""

COUNT: Final = 105_000


async def main(wanted: str) -> int:
    """Try each boundary, print what became of the inputs; 0 when nothing was found."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    seed, count = int(os.environ.get("SEED", "1")), int(os.environ.get("COUNT", str(COUNT)))
    total, findings = 0, 0
    for name, (tries, share) in BOUNDARIES.items():
        if wanted not in name:
            continue
        started = time.monotonic()
        report = await tries(seed, max(1, int(count * share)))
        total += report.tried
        findings += len(report.findings)
        ends = ", ".join(f"{how} {times:,}" for how, times in report.ends.most_common())
        seconds = time.monotonic() - started
        _say(f"{name}: {report.tried:,} inputs in {seconds:.0f} s → {ends}")
        for finding in report.findings[:10]:
            _say(f"FOUND {finding}")
    _say(f"{total:,} inputs, seed {seed}: {findings} findings")
    return 1 if findings else 0


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(asyncio.run(main(" ".join(sys.argv[1:]))))

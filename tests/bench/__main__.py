"""How fast habus is on this machine: `make bench`, or `python -m tests.bench --help`."""

import argparse
import importlib.util
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from types import FrameType

from common import __version__
from tests.bench import floor, report
from tests.bench.figures import latencies_ms, medians, table
from tests.bench.pipeline import ROOT, Pipeline
from tests.bench.processes import Failed

LIBRARIES = ("redis", "hiredis", "msgspec", "websockets", "influxdb-client")
ONE_PROCESS = ("-c", "from admin.cli import main; main()", "run")
"""`habus run`."""


class Bench:
    """The runs, one after the other.

    Args:
        options: Of the command line.
        folder: On a real disk; each run gets a folder in it.
    """

    def __init__(self, options: argparse.Namespace, folder: Path) -> None:
        self._options = options
        self._folder = folder
        self._floors: list[dict[str, float]] = []

    def rows(self) -> Iterator[report.Row]:
        """Run everything; the rows of the table."""
        o = self._options
        ways = {
            f"everysec, {o.rate:,.0f}/s": ("everysec", o.rate, o.seconds),
            f"everysec, full speed: {o.full:,.0f}/s": ("everysec", o.full, o.seconds / 3),
            f"always, {o.rate:,.0f}/s": ("always", o.rate, o.seconds),
        }
        found: dict[str, list[dict[str, float]]] = {title: [] for title in ways}
        for number in range(o.runs):
            for title, way in ways.items():
                say(f"{title}, {way[2]:g} s, run {number + 1} of {o.runs}")
                found[title].append(self._throughput(*way))
        figures = {title: medians(runs) for title, runs in found.items()}
        for title, (appendfsync, rate, _) in ways.items():
            has_bar = appendfsync == "everysec" and rate == o.rate
            yield from report.throughput(figures[title], title, has_bar=has_bar)
        quick = {title: each for title, each in figures.items() if title.startswith("everysec")}
        per_s = {title: each["stored_per_s"] for title, each in quick.items()}
        yield from report.floor(medians(self._floors), per_s)
        yield from self._low_rates()
        yield from self._one_process()

    def _throughput(self, appendfsync: str, rate: float, seconds: float) -> dict[str, float]:
        with self._pipeline(appendfsync, rate) as pipeline:
            sending = pipeline.send(rate, seconds)
            verdict, ledger = pipeline.verdict(), pipeline.ledger()
            warnings = pipeline.warnings()
            for line in warnings[:5]:
                say(f"  {line}")
            figures = {
                "events": sending.events,
                "sent_per_s": sending.events / sending.seconds,
                "stored_per_s": sending.stored_per_s,
                "drained_s": sending.drained_s,
                "batch": sending.events / max(1, sending.writes),
                "others_cores": sending.others_cores,
                "missing": verdict.missing,
                "twice": verdict.twice,
                "strange": verdict.strange,
                "unaccounted": float("nan") if ledger.unaccounted is None else ledger.unaccounted,
                "warnings": len(warnings),
                "redis_mb": pipeline.memory()["redis"][0],
                **sending.us_per_event(),
            }
            if appendfsync == "everysec":
                self._floors.append(asdict(floor.measure(pipeline.redis, runs=3)))
            return figures

    def _low_rates(self) -> Iterator[report.Row]:
        o = self._options
        with self._pipeline("everysec", 0) as pipeline:
            say(f"idle, {o.idle_s:g} s")
            percent, idle = pipeline.idle(o.idle_s), pipeline.memory()
            busy, sendings = idle, {}
            for rate, seconds in o.low:
                say(f"{rate:g} events/s, {seconds:g} s")
                sendings[rate] = pipeline.send(rate, seconds)
                if rate == 20:
                    busy = pipeline.memory()
            happened, answered = pipeline.happened(), pipeline.writes.answered
        samples = {r: latencies_ms(happened, answered, s.span_us) for r, s in sendings.items()}
        us = {
            rate: sum(sending.us_per_event()[name] for name in report.WORKERS)
            for rate, sending in sendings.items()
        }
        sent = {rate: sending.events for rate, sending in sendings.items()}
        yield from report.latency(samples, sent, us)
        yield from report.resident("Separate processes", "< 60", idle, busy, percent)

    def _one_process(self) -> Iterator[report.Row]:
        title = "One process (`habus run`)"
        if importlib.util.find_spec("admin.standalone") is None:
            yield (f"**{title}**", "–", "< 120", "skipped: there is no admin/standalone.py yet")
            return
        say(title)
        try:
            with self._pipeline("everysec", 0, ONE_PROCESS) as pipeline:
                percent, idle = pipeline.idle(self._options.idle_s), pipeline.memory()
                pipeline.send(20, dict(self._options.low)[20] / 2)
                busy = pipeline.memory()
        except Failed as error:
            yield (f"**{title}**", "–", "< 120", f"skipped: {str(error).splitlines()[-1]}")
            return
        yield from report.resident(title, "< 120", idle, busy, percent)

    @contextmanager
    def _pipeline(
        self, appendfsync: str, rate: float, command: Sequence[str] = ()
    ) -> Iterator[Pipeline]:
        folder = Path(tempfile.mkdtemp(dir=self._folder))
        try:
            with Pipeline(folder, appendfsync=appendfsync, rate=rate, command=command) as it:
                yield it
        finally:
            shutil.rmtree(folder)


def say(line: str) -> None:
    """Tell how far it is; the table alone goes to stdout."""
    sys.stderr.write(f"{line}\n")


def machine(folder: Path) -> str:
    """What the figures depend on."""
    model = next(
        (line.partition(": ")[2] for line in _lines("/proc/cpuinfo") if "model name" in line),
        platform.machine(),
    )
    server = subprocess.run(
        [shutil.which("redis-server") or "valkey-server", "--version"],
        capture_output=True, check=True, text=True,
    ).stdout.split()  # fmt: skip
    redis = next(word.removeprefix("v=") for word in server if word.startswith("v="))
    libraries = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    disk = subprocess.run(
        ["df", "--output=fstype", str(folder)], capture_output=True, check=True, text=True
    ).stdout.split()[-1]
    return (
        f"{os.cpu_count()} × {model}, {platform.system()} {platform.release()}; "
        f"spool and AOF on {disk}\n"
        f"habus {__version__}, Python {platform.python_version()}, Redis {redis}, {libraries}\n"
        "AOF rewriting is off; bus retention is the default, so nothing is trimmed meanwhile"
    )


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines() if Path(path).exists() else []


def options() -> argparse.Namespace:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--rate", type=float, default=16_000, help="events a second")
    parser.add_argument("--full", type=float, default=40_000, help="rate told for full speed")
    parser.add_argument(
        "--seconds", type=float, default=30, help="of each throughput run; of full speed a third"
    )
    parser.add_argument("--runs", type=int, default=1, help="of each throughput; medians count")
    parser.add_argument("--quick", action="store_true", help="a short look: about a minute")
    parser.add_argument("--folder", type=Path, default=ROOT / ".cache", help="on a real disk")
    chosen = parser.parse_args()
    chosen.low = ((0.3, 60.0), (20.0, 60.0), (1000.0, 20.0))
    chosen.idle_s = 20.0
    if chosen.quick:
        chosen.seconds = min(chosen.seconds, 5)
        chosen.low, chosen.idle_s = ((0.3, 10.0), (20.0, 10.0), (1000.0, 5.0)), 5.0
    return chosen


def _stop(signum: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + signum)


def main() -> int:
    """Print the table; 1 where it could not be measured."""
    signal.signal(signal.SIGTERM, _stop)
    chosen = options()
    if not shutil.which("redis-server") and not shutil.which("valkey-server"):
        say("bench: redis-server is not installed; it measures the real one")
        return 1
    chosen.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=chosen.folder) as name:
        folder = Path(name)
        began, load = datetime.now(UTC), os.getloadavg()
        try:
            rows = list(Bench(chosen, folder).rows())
        except Failed as error:
            say(f"bench: {error}")
            return 1
        loads = (" ".join(f"{part:.2f}" for part in each) for each in (load, os.getloadavg()))
        sys.stdout.write(
            f"{machine(folder)}\n{began:%Y-%m-%d %H:%M} UTC; {chosen.runs} run(s) of each "
            f"throughput; load average before and after: {'; '.join(loads)}\n\n"
            f"{table(report.HEAD, rows)}\n"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The bench's words: what it measured as rows of one table. Pure."""

from collections.abc import Mapping

from tests.bench.figures import spread

HEAD = ("what", "figure", "bar", "how")
WORKERS = ("ingest", "enrich", "store")
PROCESSES = (*WORKERS, "redis", "receiver", "simulator")
P99_MS = {20.0: "p50 < 8, p99 < 25", 1000.0: "p99 < 40"}
"""Bars of latency by rate."""

JSON_US, XADD_US = 7.64, 5.3
"""What `json.loads` took where the bars were set, and Redis for an XADD: Intel Xeon, Python 3.11.7.

Of an event of 1,108 bytes, in an entry of seven fields; ours are a little larger.
"""

Row = tuple[str, ...]


def throughput(figures: Mapping[str, float], title: str, *, has_bar: bool) -> list[Row]:
    """Rows of one way of sending.

    Args:
        figures: Medians of `throughput_figures` in `__main__`.
        title: Heading.
        has_bar: Whether there is a bar for it.
    """
    told = "≥ 15,000" if has_bar else ""
    sent = f"sent {figures['events']:,.0f} at {figures['sent_per_s']:,.0f}/s"
    after = f"the last one {figures['drained_s']:.1f} s after it was sent"
    lost = ("missing", "twice", "strange", "unaccounted")
    rows: list[Row] = [
        (f"**{title}**",),
        ("events/s stored", f"{figures['stored_per_s']:,.0f}", told, f"{sent}; {after}"),
        (
            "missing / twice / strange / unaccounted",
            " / ".join(f"{figures[name]:.0f}" for name in lost),
            "0 / 0 / 0 / 0",
            "oracle against receiver; the ledger",
        ),
        ("warnings in the workers' logs", f"{figures['warnings']:.0f}", "0", ""),
        ("events a write", f"{figures['batch']:.0f}", "", "mean batch of store"),
        ("cores used by others", f"{figures['others_cores']:.2f}", "", "bench, kernel, neighbours"),
        (
            "CPU-s a million: three workers",
            f"{sum(figures[name] for name in WORKERS):.1f}",
            "≤ 45" if has_bar else "",
            "of /proc/PID/stat, all threads",
        ),
    ]
    rows += [(f"– {name}", f"{figures[name]:.1f}", "", "") for name in PROCESSES]
    return [*rows, ("Redis's memory at the end", f"{figures['redis_mb']:.0f} MB", "", "resident")]


def floor(figures: Mapping[str, float], stored_per_s: Mapping[str, float]) -> list[Row]:
    """Rows of the floor, how far above it each way of sending lies, and of the machine itself.

    Two tasks tell how fast it is, and may disagree: one stays in the nearest cache, the other
    writes to memory that was never touched, which a virtual machine is only then given.

    Args:
        figures: `per_s`, `client_us`, `redis_us`, `entry_bytes`, `entries`, `json_us`.
        stored_per_s: Title of a way of sending → events a second.
    """
    entries = f"{figures['entries']:,.0f} of {figures['entry_bytes']:.0f} B, 500 at once"
    tasks = (
        ("`json.loads` of an event", figures["json_us"], JSON_US),
        ("XADD of an entry by Redis", figures["redis_us"], XADD_US),
    )
    return [
        ("**Floor: XADD of the same entries**",),
        ("XADD/s", f"{figures['per_s']:,.0f}", "", f"{entries}, while the workers idle"),
        ("CPU-s a million: client", f"{figures['client_us']:.1f}", "", "hiredis on a socket"),
        ("CPU-s a million: redis", f"{figures['redis_us']:.1f}", "", ""),
        *(
            (f"{title}, of the floor", f"{per_s / figures['per_s']:.2f}", "", "events/s")
            for title, per_s in stored_per_s.items()
        ),
        ("**This machine, us of CPU**",),
        *(
            (task, f"{us:.1f}", "", f"{there:g} where the bars were set: {us / there:.2f} times")
            for task, us, there in tasks
        ),
    ]


def latency(
    samples: Mapping[float, list[float]], sent: Mapping[float, int], us: Mapping[float, float]
) -> list[Row]:
    """Rows of latency by rate.

    Args:
        samples: Rate → milliseconds.
        sent: Rate → events sent; of some the simulator rounds the time, they are no samples.
        us: Rate → microseconds of CPU an event of the three workers together.
    """
    rows: list[Row] = [("**Latency, event's time to 204**", "p50 / p99 / max, ms")]
    for rate, found in samples.items():
        cpu = f"{len(found):,} of {sent[rate]:,} sent; workers' CPU {us[rate]:,.0f} us an event"
        rows.append((f"at {rate:g} events/s", spread(found), P99_MS.get(rate, ""), cpu))
    return rows


def resident(
    title: str,
    bar_mb: str,
    idle: Mapping[str, tuple[float, float]],
    busy: Mapping[str, tuple[float, float]],
    percent: Mapping[str, float],
) -> list[Row]:
    """Rows of memory and idle CPU by process.

    Args:
        title: Heading.
        bar_mb: Bar of resident memory.
        idle: Process → MiB resident and at most, idle.
        busy: The same at 20 events a second.
        percent: Process → percent of a core, idle.
    """
    rows: list[Row] = [(f"**{title}**", "idle / 20/s / most, MiB")]
    for name, (mb, _) in idle.items():
        now, most = busy[name]
        is_ours = name in (*WORKERS, "habus")
        bar = f"{bar_mb}; CPU < 1 %" if is_ours else ""
        how = f"idle CPU {percent[name]:.2f} % of a core"
        rows.append((name, f"{mb:.0f} / {now:.0f} / {most:.0f}", bar, how))
    return rows

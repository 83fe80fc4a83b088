"""The words of the bench."""

from tests.bench import report

FIGURES = {
    "events": 30_000, "sent_per_s": 14_990.4, "stored_per_s": 14_980.6, "drained_s": 0.04,
    "missing": 1, "twice": 2, "strange": 3, "unaccounted": 4, "warnings": 5, "redis_mb": 60.4,
    "batch": 150.2, "others_cores": 0.31, "ingest": 10.2, "enrich": 9.3, "store": 8.4,
    "redis": 13.5, "receiver": 1.0, "simulator": 6.0,
}  # fmt: skip


def test_the_three_workers_are_summed_and_nothing_else():
    """What is held against the bar is ingest, enrich and store together."""
    rows = {row[0]: row[1:] for row in report.throughput(FIGURES, "t", has_bar=True) if row[1:]}
    assert rows["CPU-s a million: three workers"][:2] == ("27.9", "≤ 45")
    assert rows["missing / twice / strange / unaccounted"][0] == "1 / 2 / 3 / 4"
    assert rows["events/s stored"][:2] == ("14,981", "≥ 15,000")


def test_only_one_way_of_sending_has_bars():
    """Full speed and `always` are told beside it, without a bar."""
    rows = report.throughput(FIGURES, "t", has_bar=False)
    assert not any("≥" in row[2] or "≤" in row[2] for row in rows if row[1:])


def test_the_floor_is_a_ratio_within_one_run():
    """Events are divided by the XADDs a second of the run; the machine is measured by two tasks."""
    figures = {
        "per_s": 100_000.0, "client_us": 3.0, "redis_us": 3 * report.XADD_US,
        "entry_bytes": 1317.0, "entries": 100_000, "json_us": report.JSON_US / 2,
    }  # fmt: skip
    rows = {row[0]: row[1:] for row in report.floor(figures, {"t": 15_000.0})}
    assert rows["t, of the floor"][0] == "0.15"
    assert "0.50 times" in rows["`json.loads` of an event"][-1]
    assert "3.00 times" in rows["XADD of an entry by Redis"][-1]


def test_latency_says_how_many_samples_it_has():
    """Each rate has its samples, its bar and what an event costs."""
    heading, row = report.latency({20.0: [4.0, 2.0, 3.0]}, {20.0: 5}, {20.0: 900.0})
    assert heading[0].startswith("**Latency")
    assert row == (
        "at 20 events/s", "3.0 / – / 4.0", "p50 < 8, p99 < 25",
        "3 of 5 sent; workers' CPU 900 us an event",
    )  # fmt: skip


def test_only_our_own_processes_have_a_bar_of_memory():
    """The simulator, the receiver and Redis are told beside them."""
    memory = {"store": (50.0, 51.0), "redis": (16.0, 17.0)}
    _, store, redis = report.resident("t", "< 60", memory, memory, {"store": 0.2, "redis": 0.0})
    assert store == ("store", "50 / 50 / 51", "< 60; CPU < 1 %", "idle CPU 0.20 % of a core")
    assert redis[2] == ""

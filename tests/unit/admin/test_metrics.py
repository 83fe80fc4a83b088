"""The numbers for Prometheus."""

from datetime import UTC, datetime

from prometheus_client.parser import text_string_to_metric_families

from admin.desk import Overview
from admin.durability import Weakness
from admin.metrics import exposition
from common.bus.server import ServerInfo
from common.bus.stream import GroupInfo, StreamInfo
from common.heartbeat import Pulse
from common.latency import BOUNDS_S
from common.ledger import Ledger

NOW = datetime(2026, 11, 20, 15, 44, 33, tzinfo=UTC)


def test_what_nobody_knows_is_absent():
    """A number that is not known is no zero."""
    text = exposition(Overview(ledger=Ledger(in_flight=None)), NOW).decode()
    assert "habus_dead_letters 0.0" in text
    assert "habus_events_in_flight" not in text
    assert "habus_events_unaccounted" not in text
    text = exposition(Overview(redis_error="away"), NOW).decode()
    assert "habus_dead_letters" not in text
    assert "habus_worker_up" not in text
    assert "habus_info{" in text


def test_the_durability_of_redis_is_a_number():
    """1 when it keeps all, 0 when it may lose some, absent while nobody has looked."""
    weak = [Weakness(is_wrong=True, text="it forgets", advice="set x")]
    for found, number in (([], "1.0"), (weak, "0.0")):
        text = exposition(Overview(ledger=Ledger(), weaknesses=found), NOW).decode()
        assert f"habus_redis_durability {number}" in text
    assert "durability" not in exposition(Overview(ledger=Ledger()), NOW).decode()


def numbers(overview):
    """Name and labels → value, as Prometheus reads it."""
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(exposition(overview, NOW).decode())
        for sample in family.samples
    }


def everything():
    """An overview in which each family has something to say."""
    group = GroupInfo("store", 3, 4, 1.5, "1-1", [])
    stream = StreamInfo("enriched", "ha:enriched", 100, 10_000, "0-1", "3600000-1", 100, [group])
    counts = [2, 1, *[0] * (len(BOUNDS_S) - 2), 1]
    beat = NOW.isoformat()
    return Overview(
        pulses=[
            Pulse(
                stage="store",
                name="attic",
                beat=beat,
                counters={"stored": 7, "without_point": 1},
                latency={"total": counts, "of_another_version": [1]},
                dependencies={"sink": "down: x"},
            )
        ],
        streams=[stream],
        ledger=Ledger(captured=9, stored=7, lost=1, dead=2),
        gaps=[{}],
        weaknesses=(),
        server=ServerInfo(maxmemory_bytes=1_000_000, used_bytes=300_000),
        reasons={("store", "too_large"): 2},
        per_second={"captured": 1.5, "dead": 0.1},
    )


def test_each_number_has_its_place():
    """What is known of hops, reasons, rates, backlog and room is there under its labels."""
    found = numbers(everything())
    assert found["habus_dead_letters_by_reason", ("reason", "too_large"), ("stage", "store")] == 2
    assert found["habus_events_per_second", ("fate", "captured")] == 1.5
    assert ("habus_events_per_second", ("fate", "dead")) not in found
    assert found["habus_events_total", ("fate", "lost")] == 1
    assert found["habus_stream_backlog", ("stream", "enriched")] == 7
    assert found["habus_redis_memory_limit_bytes",] == 1_000_000
    assert round(found["habus_buffer_hours",]) == 31  # of 300,000 bytes and what is settled
    done = ("stage", "store"), ("what", "without_point"), ("worker", "attic")
    assert found["habus_worker_done_total", *done] == 1


def test_buckets_of_a_hop_add_up():
    """Each bucket counts what the ones below it count, and the last is the count."""
    found = numbers(everything())
    hop = ("hop", "total")
    buckets = [
        found["habus_hop_duration_seconds_bucket", hop, ("le", bound), ("worker", "attic")]
        for bound in ("0.01", "0.025", "0.05", "3600.0", "+Inf")
    ]
    assert buckets == [2, 3, 3, 3, 4]
    assert found["habus_hop_duration_seconds_count", hop, ("worker", "attic")] == 4
    assert not [key for key in found if ("hop", "of_another_version") in key]

"""How the pipeline is, from what its workers say."""

from datetime import UTC, datetime, timedelta

import pytest

from admin.durability import Weakness
from admin.health import LATE_S, Signs, age_s, judge, one_stage
from common.event import format_time
from common.heartbeat import Pulse
from common.ledger import Ledger

NOW = datetime(2026, 11, 20, 15, 44, 33, tzinfo=UTC)


def pulse(stage, *, beat_s=1.0, up_s=60.0, version="1", **dependencies):
    """A heartbeat that is so many seconds old."""
    return Pulse(
        stage=stage,
        name="me",
        version=version,
        started=format_time(NOW - timedelta(seconds=up_s)),
        beat=format_time(NOW - timedelta(seconds=beat_s)),
        dependencies=dependencies,
    )


ALL = [pulse("ingest", home_assistant="up"), pulse("enrich"), pulse("store", sink="up")]


def status(pulses, redis_error=None):
    return judge(pulses, Signs(redis_error), NOW, version="1", uptime=1.0).status


def test_all_alive_is_healthy():
    """Every stage has a worker, no dependency is down: healthy; admin answers, so it is there."""
    health = judge(ALL, Signs(), NOW, version="1", uptime=1.23)
    assert health.status == "healthy"
    assert health.uptime == 1.2
    assert {name: found.status for name, found in health.dependencies.items()} == {
        "home_assistant": "up",
        "redis": "up",
        "influxdb": "up",
    }
    assert {found.status for found in health.services.values()} == {"healthy"}


@pytest.mark.parametrize("stage", ["ingest", "enrich", "store"])
def test_a_stage_without_worker_is_unhealthy(stage):
    """Without a worker of each stage nothing flows."""
    assert status([one for one in ALL if one.stage != stage]) == "unhealthy"


def test_without_redis_nothing_is_healthy():
    """Redis away is unhealthy, and the reason is told."""
    health = judge([], Signs("no route"), NOW, version="1", uptime=1.0)
    assert health.status == "unhealthy"
    assert health.dependencies["redis"].error == "no route"


@pytest.mark.parametrize(
    ("stage", "name", "dependency"),
    [
        ("ingest", "home_assistant", "home_assistant"),
        ("store", "sink", "influxdb"),
        ("store", "influxdb", "influxdb"),
    ],
)
def test_what_waits_is_degraded(stage, name, dependency):
    """A dependency that is down degrades: events wait, nothing is lost."""
    others = [one for one in ALL if one.stage != stage]
    health = judge(
        [*others, pulse(stage, **{name: "down: no route"})], Signs(), NOW, version="1", uptime=1.0
    )
    assert health.status == "degraded"
    assert health.dependencies[dependency].error == "no route"
    assert health.services[stage].status == "degraded"


def test_one_of_two_workers_is_enough_to_know():
    """A worker that has not said anything yet says nothing about a dependency."""
    found = judge([*ALL, pulse("store")], Signs(), NOW, version="1", uptime=1.0)
    assert found.dependencies["influxdb"].status == "up"


def test_a_late_heartbeat_is_degraded():
    """A worker that did not beat in time may hang."""
    others = [one for one in ALL if one.stage != "enrich"]
    assert status([*others, pulse("enrich", beat_s=LATE_S)]) == "healthy"
    assert status([*others, pulse("enrich", beat_s=LATE_S + 1)]) == "degraded"


def test_what_nobody_said_is_unknown():
    """A dependency of which no worker has spoken is unknown, and no trouble."""
    health = judge([pulse(stage) for stage in ("ingest", "enrich", "store")], Signs(), NOW,
                   version="1", uptime=1.0)  # fmt: skip
    assert health.status == "healthy"
    assert health.dependencies["influxdb"].status == "unknown"


def test_one_stage_speaks_for_itself():
    """Version and uptime are those of the stage's oldest worker; the others do not matter."""
    pulses = [pulse("store", up_s=10, version="new"), pulse("store", up_s=100, version="old")]
    health = one_stage("store", pulses, Signs(), NOW, version="mine")
    assert (health.service, health.status) == ("store", "healthy")
    assert (health.version, health.uptime) == ("old", 100.0)
    assert list(health.services) == ["store"]
    assert health.dependencies["home_assistant"].status == "unknown"
    nobody = one_stage("store", [], Signs(), NOW, version="mine")
    assert (nobody.status, nobody.version, nobody.uptime) == ("unhealthy", "mine", 0.0)


def test_age_of_odd_times():
    """A time in the future, or none, has no age."""
    assert age_s(format_time(NOW + timedelta(seconds=5)), NOW) == 0.0
    assert age_s("", NOW) == 0.0


@pytest.mark.parametrize(("is_wrong", "status"), [(True, "degraded"), (False, "healthy")])
def test_what_redis_may_lose_is_named(is_wrong, status):
    """A setting that loses much degrades; one that loses little is a warning; both are named."""
    weakness = Weakness(is_wrong=is_wrong, text="it forgets", advice="set x")
    health = judge(ALL, Signs(weaknesses=[weakness]), NOW, version="1", uptime=1.0)
    assert health.status == status
    assert health.warnings == health.dependencies["redis"].warnings
    assert health.warnings == ["Redis: it forgets; set x"]
    assert health.dependencies["redis"].status == "up"


@pytest.mark.parametrize(
    ("ledger", "words"),
    [
        (Ledger(), []),
        (Ledger(captured=3), ["3 events are unaccounted"]),
        (Ledger(lost=7, redelivered=2, captured=5, corrected_s=int(NOW.timestamp()) - 60),
         ["7 events lost, 2 redelivered"]),
        (Ledger(lost=7, captured=7, corrected_s=int(NOW.timestamp()) - 90_000), []),
    ],
)  # fmt: skip
def test_what_the_ledger_missed_degrades_for_a_day(ledger, words):
    """That somebody meddled with the streams is seen by whoever looks within a day."""
    health = judge(ALL, Signs(ledger=ledger), NOW, version="1", uptime=1.0)
    assert health.status == ("degraded" if words else "healthy")
    assert len(health.warnings) == len(words)
    assert all(word in told for word, told in zip(words, health.warnings, strict=True))

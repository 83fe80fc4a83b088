"""How long Redis, and then the spool, can hold what comes while the sink is away."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from admin.buffer import backlog, hours_left
from common.bus.server import ServerInfo
from common.bus.stream import GroupInfo, StreamInfo
from common.heartbeat import Pulse

SERVER = ServerInfo(maxmemory_bytes=100_000_000, used_bytes=30_000_000)


def group(pending=0, lag=0, name="store"):
    return GroupInfo(name, pending, lag, 0.0, "0-0", [])


def stream(name="enriched", **changes):
    """36 MB in an hour: 10,000 bytes a second."""
    facts = {
        "key": name,
        "length": 1000,
        "memory_bytes": 36_000_000,
        "first_id": "0-1",
        "last_id": "3600000-9",
        "entries_added": 1000,
        "groups": [group(lag=1000)],
    }
    return StreamInfo(name=name, **{**facts, **changes})


def test_room_is_what_is_free_and_what_is_settled():
    """Free memory up to where ingest stops lasts at the present rate; settled entries make room."""
    assert hours_left(SERVER, [stream()]) == pytest.approx(30e6 / 36e6)
    settled = stream(groups=[group(lag=250)])
    assert hours_left(SERVER, [settled]) == pytest.approx((30e6 + 27e6) / 36e6)
    letters = stream("dead", groups=[])
    assert hours_left(SERVER, [stream(), letters]) == pytest.approx(30e6 / 36e6)


def test_a_full_redis_has_no_hours_left():
    """Beyond the limit the answer is zero and not less."""
    assert hours_left(ServerInfo(maxmemory_bytes=100, used_bytes=100), [stream()]) == 0


def ingest(**spool):
    return Pulse(stage="ingest", name="nas", **spool)


@pytest.mark.parametrize(
    ("free_bytes", "spool_bytes", "unsent", "hours"),
    [(1_000_000, 0, 0, 1.0), (500_000, 700_000, 200, 1.0), (0, 100_000, 900, 0.0)],
)
def test_the_spool_comes_on_top(free_bytes, spool_bytes, unsent, hours):
    """What is free on its disk, and what was sent, holds as many events as have room there."""
    spool = ingest(
        spool_event_bytes=1000,
        spool_free_bytes=free_bytes,
        spool_bytes=spool_bytes,
        spool_unsent=unsent,
    )
    without = hours_left(SERVER, [stream()], [Pulse(stage="store", name="nas")])
    assert without == hours_left(SERVER, [stream()])
    assert hours_left(SERVER, [stream()], [spool, ingest()]) == pytest.approx(without + hours)


@pytest.mark.parametrize(
    ("server", "streams"),
    [
        (ServerInfo(maxmemory_bytes=0, used_bytes=5), [stream()]),
        (ServerInfo(used_bytes=5), [stream()]),
        (ServerInfo(maxmemory_bytes=5), [stream()]),
        (SERVER, []),
        (SERVER, [stream("raw")]),
        (SERVER, [stream(memory_bytes=None)]),
        (SERVER, [stream(first_id=None)]),
        (SERVER, [stream(last_id="59999-0")]),
    ],
)
def test_what_nobody_can_know_is_none(server, streams):
    """Without a limit, without entries, or with a span too short, there is no number."""
    assert hours_left(server, streams) is None


@pytest.mark.parametrize(
    ("groups", "waiting"),
    [([], 0), ([group(2, 3)], 5), ([group(2, 3), group(9)], 9), ([group(1), group(1, None)], None)],
)
def test_the_backlog_is_that_of_the_slowest_group(groups, waiting):
    """Delivered and undelivered count; where Redis cannot tell of one group nobody can."""
    assert backlog(stream(groups=groups)) == waiting


@given(st.integers(0, 2000), st.integers(0, 2000))
def test_the_hours_are_never_negative(lag, length):
    """Whatever Redis says, also a backlog above the length, the hours are a number from 0 on."""
    hours = hours_left(SERVER, [stream(length=length, groups=[group(lag=lag)])])
    assert hours is not None
    assert hours >= 0


def test_a_backlog_that_nobody_knows_makes_no_room():
    """Where Redis cannot tell what is settled, none of it counts as room."""
    unknown = stream(groups=[group(lag=None)])
    assert hours_left(SERVER, [unknown]) == pytest.approx(30e6 / 36e6)

"""What a person is told, and when."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from admin.alerts import (
    GONE_S,
    RECOVERED_S,
    REPEAT_S,
    UNACCOUNTED_S,
    Alerts,
    Condition,
    Limits,
    conditions,
)
from admin.desk import Overview
from common.bus.server import ServerInfo
from common.bus.stream import GroupInfo, StreamInfo
from common.heartbeat import Pulse
from common.ledger import Ledger

NOW = datetime(2026, 11, 20, 15, 44, 33, tzinfo=UTC)
LIMITS = Limits(lag_s=300, buffer_hours=2)
WORKERS = [Pulse(stage=stage, name="attic") for stage in ("ingest", "enrich", "store")]


def stream(lag_s=0.0, group="store", memory=1000):
    info = GroupInfo(group, 0, 10, lag_s, "0-0", [])
    return StreamInfo("enriched", "k", 10, memory, "0-1", "3600000-1", 10, [info])


def seen(**changes):
    """A pipeline of which all is well, but for the changes."""
    return Overview(**{"pulses": WORKERS, "streams": [stream()], "ledger": Ledger(), **changes})


def condition(count=0, after_s=0.0, alert="x"):
    return Condition(
        alert=alert, severity="warning", title="t", remedy="r", count=count, after_s=after_s
    )


RECENT = int(NOW.timestamp()) - 60
FULL = ServerInfo(maxmemory_bytes=1_000_000, used_bytes=599_000)


@pytest.mark.parametrize(
    ("changes", "alert", "said"),
    [
        ({}, None, ""),
        ({"redis_error": "secret at host"}, "redis", "Redis does not answer"),
        ({"pulses": WORKERS[:2]}, "worker_store", "No store worker"),
        ({"pulses": WORKERS[1:]}, "worker_ingest", "No ingest worker"),
        ({"streams": [stream(301)]}, "lag_store", "store is 5 minutes behind"),
        ({"streams": [stream(90_000, "enrich")]}, "lag_enrich", "enrich is 25 hours behind"),
        ({"streams": [stream(300)]}, None, ""),
        ({"streams": [stream(9000, "a_group_of_somebody")]}, None, ""),
        ({"ledger": None}, None, ""),
        ({"ledger": Ledger(captured=2, dead=2, buried=9)}, "dead_letters", "2 dead letters"),
        ({"ledger": Ledger(captured=2, lost=2, corrected_s=RECENT)}, "lost", "2 events were lost"),
        ({"ledger": Ledger(captured=2, lost=2, corrected_s=RECENT - 3600)}, None, ""),
        ({"ledger": Ledger(captured=2, stored=1)}, "unaccounted", "1 events are unaccounted"),
        ({"ledger": Ledger(captured=2, in_flight=None)}, None, ""),
        ({"gaps": [{}, {}]}, "gap", "2 spans"),
        ({"server": FULL, "streams": [stream(memory=3600)]}, "buffer", "full in 0.3 hours"),
        ({"server": FULL, "streams": [stream(memory=100)]}, None, ""),
        ({"server": ServerInfo()}, None, ""),
    ],
)
def test_each_condition_is_found_and_no_other(changes, alert, said):
    """Each thing that is not as it should be is one condition with its words."""
    found = conditions(seen(**changes), LIMITS, NOW)
    assert [one.alert for one in found] == ([alert] if alert else [])
    assert all(said in one.title and one.remedy for one in found)
    assert "secret" not in repr(found)


@pytest.mark.parametrize(("lag_s", "words"), [(110, "110 seconds"), (130, "2 minutes")])
def test_a_lag_is_said_in_a_unit_that_fits(lag_s, words):
    """Seconds up to two minutes, then minutes."""
    limits = Limits(lag_s=1, buffer_hours=0)
    (one,) = conditions(seen(streams=[stream(lag_s)]), limits, NOW)
    assert words in one.title


def test_hardly_any_buffer_is_critical():
    """A quarter of the limit is no warning any more."""
    for memory, severity in ((1800, "warning"), (3600, "critical")):
        (one,) = conditions(seen(server=FULL, streams=[stream(memory=memory)]), LIMITS, NOW)
        assert one.severity == severity


def test_what_goes_on_is_told_once_and_its_end_once():
    """One notice when it begins, one when it is over, however often one looks."""
    alerts = Alerts()
    told = []
    for second in range(0, 100, 10):
        told += alerts.decide([condition()], second)
    for second in range(100, 300, 10):
        told += alerts.decide([], second)
    assert [(notice.status, notice.lasted_s) for notice in told] == [
        ("firing", 0),
        ("resolved", 90 + RECOVERED_S),
    ]


def test_what_passes_at_once_is_not_told():
    """A condition that must last tells nobody when it does not, not even that it is over."""
    alerts = Alerts()
    assert alerts.decide([condition(after_s=30)], 0) == []
    assert alerts.decide([condition(after_s=30)], 29) == []
    assert alerts.decide([], 29 + RECOVERED_S) == []
    assert alerts.decide([condition(after_s=30)], 200) == []
    assert len(alerts.decide([condition(after_s=30)], 230)) == 1


def test_what_flaps_is_one_alert():
    """Shorter absences than RECOVERED_S neither end nor repeat an alert."""
    alerts = Alerts()
    told = []
    for second in range(0, 2000, 10):
        told += alerts.decide([condition()] if second % 50 < 20 else [], second)
    assert [notice.status for notice in told] == ["firing"]


def test_what_grows_is_told_again_but_not_too_often():
    """More dead letters are news, at most every REPEAT_S seconds; fewer are not."""
    alerts = Alerts()
    told = []
    for second in range(0, 3000, 10):
        told += alerts.decide([condition(count=second)], second)
    assert len(told) == 1 + int(2990 // REPEAT_S)
    assert alerts.decide([condition(count=5)], 9000) == []


def test_what_comes_back_soon_waits_for_its_turn():
    """After its end an alert fires again only REPEAT_S after it last fired."""
    alerts = Alerts()
    assert len(alerts.decide([condition()], 0)) == 1
    assert len(alerts.decide([], RECOVERED_S)) == 1
    assert alerts.decide([condition()], RECOVERED_S + 10) == []
    assert len(alerts.decide([condition()], REPEAT_S)) == 1


def test_who_is_blind_ends_nothing():
    """While Redis is away nobody knows whether the other alerts are over."""
    alerts = Alerts()
    alerts.decide([condition()], 0)
    assert alerts.decide([], 10_000, is_blind=True) == []
    assert [n.status for n in alerts.decide([], 10_001)] == ["resolved"]


def test_conditions_that_pass_by_themselves_have_time_to():
    """A worker that restarts, Redis that does, and a sum that settles wake nobody at once."""
    for changes, after_s in (
        ({"pulses": []}, GONE_S),
        ({"redis_error": "x"}, GONE_S),
        ({"ledger": Ledger(captured=1)}, UNACCOUNTED_S),
    ):
        assert {c.after_s for c in conditions(seen(**changes), LIMITS, NOW)} == {after_s}


@given(
    st.lists(st.tuples(st.sets(st.sampled_from("abc")), st.integers(1, 400), st.booleans())),
    st.data(),
)
def test_firing_and_resolved_take_turns_and_are_rare(looks, data):
    """Whatever happens: no end without a beginning, and no alert fires twice within REPEAT_S."""
    alerts, now, state, fired = Alerts(), 0.0, {}, {}
    for names, step, is_blind in looks:
        now += step
        count = data.draw(st.integers(0, 3))
        found = [condition(count=count, alert=name) for name in sorted(names)]
        for notice in alerts.decide(found, now, is_blind=is_blind):
            if notice.status == "firing":
                assert now - fired.get(notice.alert, -REPEAT_S) >= REPEAT_S
                fired[notice.alert] = now
            else:
                assert state[notice.alert] == "firing"
            state[notice.alert] = notice.status

import pytest
from msgspec.structs import replace

from common.errors import MalformedEvent
from enrich.steps.previous import measure_previous

EARLY = "2026-11-20T15:44:00+00:00"
LATE = "2026-11-20T15:45:01.400000+00:00"


def test_state_change(make):
    """The previous state lasted from its own last change to the new one."""
    new = make.state("21.4", last_changed=LATE)
    old = make.state("21.2", last_changed=EARLY)
    enriched = make.run(measure_previous, on=make.change(new, old))
    assert (enriched.previous_state, enriched.previous_duration_s) == ("21.2", 61.4)
    assert enriched.quality == ()


def test_attribute_change(make):
    """When only attributes changed, no state has ended and there is no duration."""
    new = make.state("on", {"brightness": 7}, last_changed=EARLY)
    old = make.state("on", {"brightness": 5}, last_changed=EARLY)
    enriched = make.run(measure_previous, on=make.change(new, old))
    assert (enriched.previous_state, enriched.previous_duration_s) == ("on", None)


def test_forced_update(make):
    """The same text with a new last change is a new state, as Home Assistant counts."""
    new = make.state("5", last_changed=LATE)
    old = make.state("5", last_changed=EARLY)
    enriched = make.run(measure_previous, on=make.change(new, old))
    assert (enriched.previous_state, enriched.previous_duration_s) == ("5", 61.4)


def test_removal(make):
    """A removal ends the state at the time of the event."""
    old = make.state("5", last_changed="2026-11-20T15:44:30.435789+00:00")
    enriched = make.run(measure_previous, on=make.change(None, old))
    assert (enriched.previous_state, enriched.previous_duration_s) == ("5", 3.0)


def test_first_state(make):
    """The first state of an entity has none before it."""
    enriched = make.run(measure_previous, on=make.change("5"))
    assert (enriched.previous_state, enriched.previous_duration_s) == (None, None)


def test_zones(make):
    """Times may be in any zone."""
    new = make.state("b", last_changed="2026-11-20T16:44:02+01:00")
    old = make.state("a", last_changed="2026-11-20T15:44:00Z")
    assert make.run(measure_previous, on=make.change(new, old)).previous_duration_s == 2.0


def test_clock_went_back(make):
    """A state that ended before it began has no duration, and is marked."""
    new = make.state("b", last_changed=EARLY)
    old = make.state("a", last_changed=LATE)
    enriched = make.run(measure_previous, on=make.change(new, old))
    assert (enriched.previous_state, enriched.previous_duration_s) == ("a", None)
    assert enriched.quality == ("clock_went_back",)


def test_unknown_times(make):
    """Without both last changes there is no duration."""
    for new_time, old_time in ((None, EARLY), (LATE, None)):
        new = make.state("b", last_changed=new_time)
        old = make.state("a", last_changed=old_time)
        enriched = make.run(measure_previous, on=make.change(new, old))
        assert (enriched.previous_state, enriched.previous_duration_s) == ("a", None)


def test_empty_previous_state(make):
    """An empty text is no previous state, but its time is known."""
    new = make.state("b", last_changed=LATE)
    old = make.state("", last_changed=EARLY)
    enriched = make.run(measure_previous, on=make.change(new, old))
    assert (enriched.previous_state, enriched.previous_duration_s) == (None, 61.4)


def test_event_without_a_time(make):
    """A removal whose event has no readable time is malformed."""
    with pytest.raises(MalformedEvent):
        make.run(measure_previous, on=replace(make.change(None, "5"), time="yesterday"))

import pytest

from enrich.steps.availability import tell_availability


@pytest.mark.parametrize("text", ["unavailable", "unknown", ""])
def test_silent(make, text):
    """A state that says nothing is not available."""
    assert make.run(tell_availability, on=make.change(text)).available is False


@pytest.mark.parametrize("text", ["21.4", "off", "nan", "Unavailable", " ", "none"])
def test_available(make, text):
    """Every other text is a state."""
    assert make.run(tell_availability, on=make.change(text)).available is True


def test_removed(make):
    """A removed entity is not available."""
    assert make.run(tell_availability, on=make.change(None, "on")).available is False


def test_other_type(make):
    """Another event type is not about availability: it is here, so it is available."""
    event = make.event({"data": {"new_state": None}}, "rest_event", "")
    assert make.run(tell_availability, on=event).available is True

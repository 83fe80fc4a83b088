from math import isfinite

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enrich.steps.domain import split_entity_id
from enrich.steps.value import number, read_value

STEPS = (split_entity_id, read_value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("21.4", 21.4),
        ("21.50", 21.5),
        ("0", 0.0),
        ("-3", -3.0),
        ("+5", 5.0),
        (".5", 0.5),
        ("5.", 5.0),
        ("1e5", 100000.0),
        ("1E-3", 0.001),
        (" 7 ", 7.0),
        ("007", 7.0),
        ("9007199254740993", 9007199254740992.0),
        ("1e-999", 0.0),
        ("on", 1.0),
        ("off", 0.0),
        ("open", 1.0),
        ("closed", 0.0),
        ("home", 1.0),
        ("not_home", 0.0),
        ("locked", 1.0),
        ("unlocked", 0.0),
        ("above_horizon", 1.0),
        ("below_horizon", 0.0),
        ("true", 1.0),
        ("True", 1.0),
        ("false", 0.0),
        ("False", 0.0),
    ],
)
def test_value(make, text, value):
    """A plain number is its value; a state with one opposite is 1.0 or 0.0; the text stays."""
    enriched = make.run(*STEPS, on=make.change(text))
    assert enriched.state == text
    assert enriched.value == value
    assert isinstance(enriched.value, float)
    assert enriched.quality == ()


@pytest.mark.parametrize(
    "text",
    [
        "1_000", "0x1F", "1,5", "1 000", "--1", "21.4 °C", "\u0661\u0662", "\uff11", "\u00a07",
        "On", "OPEN", "yes", "no", "ok", "clear", "opening", "jammed", "work", "playing",
        "[1, 2]", "2026-11-20T15:44:54+00:00", "12:00:00", "Grüße 👋", " ", "e5", ".",
    ],
)  # fmt: skip
def test_text(make, text):
    """Every other text has no value."""
    enriched = make.run(*STEPS, on=make.change(text))
    assert enriched.state == text
    assert enriched.value is None
    assert enriched.quality == ()


@pytest.mark.parametrize(
    "text", ["nan", "NaN", "-nan", "inf", "-inf", "Infinity", "1e999", "-1e999", "9" * 400]
)
def test_not_finite(make, text):
    """What is no finite number is no value, and is marked."""
    enriched = make.run(*STEPS, on=make.change(text))
    assert enriched.state == text
    assert enriched.value is None
    assert enriched.quality == ("not_finite",)


@pytest.mark.parametrize(("text", "state"), [("unavailable",) * 2, ("unknown",) * 2, ("", None)])
def test_silent(make, text, state):
    """A state that says nothing has no value, and an empty one no text either."""
    enriched = make.run(*STEPS, on=make.change(text))
    assert (enriched.state, enriched.value, enriched.quality) == (state, None, ())


def test_open_lock(make):
    """A lock that is pulled open is not as if it were locked."""
    enriched = make.run(*STEPS, on=make.change("open", entity_id="lock.door"))
    assert (enriched.state, enriched.value) == ("open", None)
    enriched = make.run(*STEPS, on=make.change("open", entity_id="cover.blinds"))
    assert (enriched.state, enriched.value) == ("open", 1.0)


def test_no_state(make):
    """A removal and another event type have neither state nor value."""
    for event in (make.change(None, "5"), make.event({"data": {"state": "5"}}, "any", "")):
        enriched = make.run(*STEPS, on=event)
        assert (enriched.state, enriched.value) == (None, None)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_float_comes_back(value):
    """The text of a finite float is read as that float."""
    assert number(repr(value)) == value


@given(st.text())
def test_any_text(text):
    """No text makes it raise, and what is a number is one for Python too."""
    value = number(text)
    if value is not None and isfinite(value):
        assert value == float(text)

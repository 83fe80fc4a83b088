import pytest

from enrich.steps.unit import normalise_unit


@pytest.mark.parametrize(
    ("given", "unit"),
    [
        ("°C", "°C"),
        ("\u00b5g/m³", "\u03bcg/m³"),
        ("\u03bcg/m³", "\u03bcg/m³"),
        (" W ", "W"),
        ("", None),
        ("  ", None),
        (None, None),
        (5, None),
    ],
)
def test_unit(make, given, unit):
    """A unit has one spelling: no blanks around it, the Greek mu; and none is none."""
    event = make.change(make.state("1", {"unit_of_measurement": given}))
    assert make.run(normalise_unit, on=event).unit == unit


def test_no_unit(make):
    """Without the attribute there is no unit."""
    assert make.run(normalise_unit, on=make.change("1")).unit is None

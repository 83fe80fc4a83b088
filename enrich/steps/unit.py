"""Unit: one spelling for one unit."""

from common.enriched import Enriched
from common.registry import Registry
from enrich.raw import Captured

MICRO_SIGN, GREEK_MU = "\u00b5", "\u03bc"
"""Two characters for "millionth" that look alike.

Home Assistant changed from the first to the second, so the same sensor has had both.
Source: `AMBIGUOUS_UNITS` in homeassistant/components/sensor/const.py
"""


def normalise_unit(captured: Captured, _: Registry, enriched: Enriched) -> None:
    """Set `unit` without blanks around it and with the Greek mu for "millionth"."""
    unit = captured.known.unit_of_measurement
    if unit is not None:
        enriched.unit = unit.strip().replace(MICRO_SIGN, GREEK_MU) or None

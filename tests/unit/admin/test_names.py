"""Names that people type for entities."""

import pytest

from admin.names import is_name


@pytest.mark.parametrize(
    "text", ["sensor.kitchen", "sensor.*_power", "*", "light.[ab]?", "Sun.Sun"]
)
def test_ids_and_patterns_are_names(text):
    """An entity id, or a pattern that can match some."""
    assert is_name(text)


@pytest.mark.parametrize("text", ["", "kitchen", "sensor kitchen", "a.b.c", "sensor.\n", "ä.b"])
def test_anything_else_is_no_name(text):
    """What can match no entity is told at once."""
    assert not is_name(text)

"""common/lean.py."""

import sys

import pytest

from common.lean import hidden


def test_a_hidden_module_cannot_be_imported() -> None:
    """Within, the import fails as for a module that is not installed."""
    sys.modules.pop("colorsys", None)
    with hidden("colorsys"), pytest.raises(ModuleNotFoundError):
        import colorsys  # noqa: F401, PLC0415

    import colorsys as again  # noqa: PLC0415

    assert again.rgb_to_hsv(0, 0, 0) == (0.0, 0.0, 0)


def test_a_module_that_was_there_is_there_again() -> None:
    """Afterwards, what was imported before is the same object."""
    before = sys.modules["json"] = __import__("json")
    with hidden("json"):
        assert sys.modules["json"] is None

    assert sys.modules["json"] is before

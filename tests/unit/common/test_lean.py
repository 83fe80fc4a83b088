"""common/lean.py."""

import importlib
import sys

import pytest

from common.lean import hidden, hollow


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


def test_a_hollow_module_gives_empty_classes() -> None:
    """Within, a module of the package has every name, and none of its own code."""
    for name in ("xml.dom.pulldom", "xml.dom.minicompat"):
        sys.modules.pop(name, None)
    with hollow("xml.dom", but=["minicompat"]):
        from xml.dom.minicompat import NodeList  # noqa: PLC0415

        anything = importlib.import_module("xml.dom.pulldom").Anything

        assert type(anything(1, two=3)).__name__ == "Anything"
        assert NodeList().length == 0

    del sys.modules["xml.dom.pulldom"]
    from xml.dom.pulldom import PullDOM  # noqa: PLC0415

    assert hasattr(PullDOM, "startDocument")


def test_a_hollow_module_has_no_other_dunder_names() -> None:
    """What Python itself asks a module for, such as `__path__`, is not made up."""
    sys.modules.pop("xml.dom.pulldom", None)
    with hollow("xml.dom"):
        import xml.dom.pulldom  # noqa: PLC0415

        assert not hasattr(xml.dom.pulldom, "__path__")
    del sys.modules["xml.dom.pulldom"]

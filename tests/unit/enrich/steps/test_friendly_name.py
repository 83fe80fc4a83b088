import pytest

from enrich.steps.friendly_name import copy_friendly_name


@pytest.mark.parametrize(
    ("given", "name"),
    [("Küche", "Küche"), (" Kitchen ", "Kitchen"), ("", None), (" ", None), (7, None), ([], None)],
)
def test_friendly_name(make, given, name):
    """A name is copied without blanks around it; what is empty or no text is none."""
    event = make.change(make.state("1", {"friendly_name": given}))
    assert make.run(copy_friendly_name, on=event).friendly_name == name


def test_no_friendly_name(make):
    """Without the attribute there is no name."""
    assert make.run(copy_friendly_name, on=make.change("1")).friendly_name is None

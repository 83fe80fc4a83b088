"""Times as people type them."""

from datetime import UTC, datetime, timedelta

import pytest

from admin.cli.when import time_of
from common.errors import InvalidSetting

NOW = datetime(2026, 11, 20, 15, 44, 33, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "ago"),
    [
        ("90s", timedelta(seconds=90)),
        ("15m", timedelta(minutes=15)),
        ("2h", timedelta(hours=2)),
        ("7d", timedelta(days=7)),
    ],
)
def test_so_long_ago(text, ago):
    """A number and a unit mean so long ago."""
    assert time_of(text, NOW, "--since") == NOW - ago


def test_a_time_is_itself():
    """ISO 8601 with a zone stays; nothing stays nothing."""
    assert time_of("2026-11-20T16:44:33+01:00", NOW, "--since") == NOW
    assert time_of(None, NOW, "--since") is None


@pytest.mark.parametrize("text", ["", "h", "2w", "yesterday", "2026-11-20T16:44", "999999999d"])
def test_anything_else_names_the_option(text):
    """What cannot be read is refused by the name of the option."""
    with pytest.raises(InvalidSetting, match="--since"):
        time_of(text, NOW, "--since")

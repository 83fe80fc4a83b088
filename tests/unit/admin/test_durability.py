"""What a Redis may lose, by its settings."""

import pytest

from admin.durability import weaknesses
from common.bus.server import ServerInfo

GOOD = {
    "appendonly": True,
    "appendfsync": "always",
    "saves": False,
    "maxmemory_bytes": 2**20,
    "maxmemory_policy": "noeviction",
}


def test_a_server_that_keeps_everything_has_none():
    """AOF, forced to the disk with each write, and noeviction: nothing to say."""
    assert weaknesses(ServerInfo(**GOOD)) == []


@pytest.mark.parametrize(
    ("changed", "is_wrong", "lost", "advice"),
    [
        ({"appendonly": False}, True, "everything when it ends", "appendonly yes"),
        ({"appendonly": False, "saves": True}, True, "since its last snapshot", "appendonly yes"),
        ({"appendfsync": "no"}, False, "half a minute", "appendfsync always"),
        ({"appendfsync": "everysec"}, False, "two seconds", "appendfsync always"),
        ({"appendonly": None}, False, "does not tell", "real data"),
        ({"writes_fail": True}, True, "cannot write", "free some space"),
        ({"maxmemory_policy": "allkeys-lru"}, True, "throws data away", "noeviction"),
        ({"maxmemory_policy": "volatile-ttl", "maxmemory_bytes": 0}, False, "throws", "noeviction"),
    ],
)
def test_each_weakness_says_what_is_lost_and_what_to_set(changed, is_wrong, lost, advice):
    """One setting, one sentence, which is the whole story."""
    [found] = weaknesses(ServerInfo(**GOOD | changed))
    assert found.is_wrong == is_wrong
    assert lost in found.text
    assert advice in found.advice
    assert str(found) == f"Redis: {found.text}; {found.advice}"

"""Where the Redis that `habus run` started is found by the other commands."""

from pathlib import Path
from typing import Final

from admin.config import Settings
from common.environment import DEFAULT

SOCKET: Final = Path("redis/redis.sock")
"""In the data folder."""

FOLDER: Final = Path("data")
"""What `habus run` takes where it is told no other."""


def url_in(data: Path) -> str:
    """Return its address where it keeps its data in this folder."""
    return f"unix://{(data / SOCKET).absolute()}"


def hint(settings: Settings) -> str:
    """What to set to reach it; empty where REDIS_URL is set, or there is none here."""
    if settings.origins()["REDIS_URL"] != DEFAULT or not (FOLDER / SOCKET).is_socket():
        return ""
    return f"`habus run` has a Redis of its own here: export REDIS_URL={url_in(FOLDER)}"

"""How often somebody may try: the token, changes, and what concerns many letters at once."""

import math
import time
from typing import Final

from limits import RateLimitItem, parse
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter

from admin.failure import Refusal

LOGINS: Final = parse("5/minute")
"""Wrong tokens on the login page from one address."""

TOKENS: Final = parse("100/minute")
"""Wrong bearer tokens from one address."""

CHANGES: Final = parse("6000/minute")
"""Requests that change something from one address: events are handed in this way, too."""

BULK: Final = parse("60/minute")
"""Replays, purges and exports of many letters from one address."""

_NAMES: Final = {LOGINS: "login", TOKENS: "token", CHANGES: "change", BULK: "bulk"}


class RateLimits:
    """Counts by network address, in the memory of this process."""

    def __init__(self) -> None:
        self._limiter = FixedWindowRateLimiter(MemoryStorage())

    def take(self, limit: RateLimitItem, address: str) -> None:
        """Count one.

        Raises:
            Refusal: 429 when there were too many; `Retry-After` says when to try again.
        """
        if not self._limiter.hit(limit, _NAMES[limit], address):
            raise self._refusal(limit, address)

    def check(self, limit: RateLimitItem, address: str) -> None:
        """Count nothing, but refuse when there were too many.

        Raises:
            Refusal: 429.
        """
        if not self._limiter.test(limit, _NAMES[limit], address):
            raise self._refusal(limit, address)

    def count(self, limit: RateLimitItem, address: str) -> None:
        """Count one that failed; whether there were too many is asked before the next."""
        self._limiter.hit(limit, _NAMES[limit], address)

    def _refusal(self, limit: RateLimitItem, address: str) -> Refusal:
        stats = self._limiter.get_window_stats(limit, _NAMES[limit], address)
        wait_s = max(1, math.ceil(stats.reset_time - time.time()))
        return Refusal(
            429,
            f"too many of these from your address: {limit}; try again in {wait_s} s",
            headers={"Retry-After": str(wait_s)},
        )

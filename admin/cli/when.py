"""Times as people type them."""

import re
from datetime import datetime, timedelta
from typing import Final

from common.errors import InvalidSetting, MalformedEvent
from common.event import parse_time

_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def time_of(text: str | None, now: datetime, option: str) -> datetime | None:
    """Read `2026-11-20T15:00:00Z`, or `2h` for two hours before `now`; None stays None.

    Args:
        text: What was typed.
        now: The time, with a zone.
        option: Where it was typed, for the message.

    Raises:
        InvalidSetting: When it is neither.
    """
    if text is None:
        return None
    try:
        if ago := re.fullmatch(r"([0-9]{1,9})([smhd])", text):
            return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        return parse_time(text)
    except (MalformedEvent, OverflowError) as error:
        raise InvalidSetting(
            f"{option}: {error}; or write 90s, 15m, 2h, 7d for so long ago"
        ) from error

"""Letting go of dead letters after so many days, where a person chose so; never by length."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import msgspec

from admin.who import habus_itself
from common.bus import DeadLetters, Deed, Filter
from common.errors import BusUnavailable
from common.event import time_of
from common.lifecycle import pause
from common.logs import logger

EVERY_S: Final = 600.0
"""Seconds between two looks."""

SOON_DAYS: Final = 7.0
"""Days before letters go in which it is said."""

DAY_US: Final = 86_400_000_000
"""Microseconds."""

log = logger(__name__)


class Fate(msgspec.Struct, frozen=True):
    """What retention will do.

    Attributes:
        days: Days that letters stay; 0: for ever.
        going: Letters that go within a week.
        next_at: When the oldest goes, ISO 8601; None when none ever does.
    """

    days: float
    going: int = 0
    next_at: str | None = None

    @property
    def in_words(self) -> tuple[str, ...]:
        """The warning for a person; none while nothing goes soon."""
        if not self.going:
            return ()
        soon = min(SOON_DAYS, self.days)
        text = (
            f"{self.going} dead letters are deleted within {soon:g} days, the first at"
            f" {self.next_at}: DEAD_RETENTION_DAYS is {self.days:g}; replay or export them"
        )
        return (text,)


FOR_EVER: Final = Fate(0)
"""Nothing goes."""


async def fate(letters: DeadLetters, days: float, now_us: int) -> Fate:
    """Say which letters go soon.

    Args:
        letters: The letters.
        days: Days that they stay; 0: for ever.
        now_us: Microseconds since 1970.

    Raises:
        BusUnavailable: When Redis does not answer.
    """
    if not days:
        return FOR_EVER
    table = await letters.index.fresh()
    soon = max(0, now_us - round((days - min(SOON_DAYS, days)) * DAY_US))
    oldest = next(table.ids(Filter()), None)
    if oldest is None:
        return Fate(days)
    goes = int(oldest.partition("-")[0]) * 1000 + round(days * DAY_US)
    going = sum(1 for _ in table.ids(Filter(), until=f"{soon // 1000}-0"))
    return Fate(days, going, time_of(min(goes, now_us + 36_500 * DAY_US)))


async def expire(letters: DeadLetters, days: float, now_us: int) -> int:
    """Delete letters that were buried longer ago; return how many. The ledger counts them.

    Raises:
        BusUnavailable: When Redis does not answer.
    """
    border = max(0, now_us - round(days * DAY_US)) // 1000
    ids = list((await letters.index.fresh()).ids(Filter(), until=f"{border}-0"))
    what = {"older_than_days": days, "first": ids[0], "last": ids[-1]} if ids else {}
    deed = Deed(who=habus_itself(), at=time_of(now_us), action="expire", count=len(ids), what=what)
    return await letters.purge(ids, deed)


async def keep_retained(
    letters: DeadLetters,
    days: float,
    stop: asyncio.Event,
    told: Callable[[Fate], None] = lambda _: None,
) -> None:
    """Delete what is too old again and again until `stop` is set, and say long before.

    Args:
        letters: The letters.
        days: Days that they stay; 0: for ever, and nothing is done.
        stop: Ends it.
        told: Is told what goes soon.
    """
    warned_at = -float("inf")
    while days and not stop.is_set():
        with suppress(BusUnavailable):
            now_us = time.time_ns() // 1000
            if gone := await expire(letters, days, now_us):
                log.warning("Deleted dead letters, as DEAD_RETENTION_DAYS says", count=gone)
            ahead = await fate(letters, days, now_us)
            told(ahead)
            if ahead.going and time.monotonic() - warned_at > DAY_US / 1e6:
                warned_at = time.monotonic()
                log.warning(" ".join(ahead.in_words))
        await pause(stop, EVERY_S)

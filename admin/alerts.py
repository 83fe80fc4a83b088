"""What a person should be told: the pipeline as it is in, notices out."""

from collections.abc import Iterator
from datetime import datetime
from typing import Final, Literal

import msgspec

from admin.buffer import hours_left
from admin.desk import Overview
from common.bus.keys import ENRICH, INGEST, STORE
from common.ledger import Ledger

REPEAT_S: Final = 900.0
"""Shortest time between two notices that the same alert fires."""

RECOVERED_S: Final = 60.0
"""Seconds without its cause after which an alert is over: what flaps is one alert."""

GONE_S: Final = 30.0
"""Seconds without a worker after which it is missed: an update takes less."""

UNACCOUNTED_S: Final = 300.0
"""Seconds for which the ledger may miss something."""

RECENTLY_S: Final = 3600.0
"""Seconds for which events that were lost are news."""

Severity = Literal["warning", "critical"]


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """From when on something is worth an alert."""

    lag_s: float
    buffer_hours: float


class Condition(msgspec.Struct, frozen=True, kw_only=True):
    """Something that is not as it should be.

    Attributes:
        alert: What it is: the same word for as long as it lasts.
        remedy: What to do.
        count: When it grows, it is worth another notice.
        after_s: Seconds that it must last to be worth one at all.
    """

    alert: str
    severity: Severity
    title: str
    remedy: str
    count: int = 0
    after_s: float = 0.0


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """What a person is told.

    Attributes:
        lasted_s: Seconds since it began.
    """

    alert: str
    status: Literal["firing", "resolved"]
    severity: Severity
    title: str
    remedy: str
    lasted_s: float


class _Open(msgspec.Struct):
    """A condition that was there and may be there still."""

    condition: Condition
    since: float
    seen: float
    is_told: bool = False
    told_count: int = 0


class Alerts:
    """Decides who is told what, and when; remembers what it has said."""

    def __init__(self) -> None:
        self._open: dict[str, _Open] = {}
        self._fired: dict[str, float] = {}

    def decide(self, found: list[Condition], now: float, *, is_blind: bool = False) -> list[Notice]:
        """Return the notices that are due.

        Args:
            found: What is not as it should be.
            now: Seconds of a clock that never goes back.
            is_blind: What is not in `found` may be there all the same.
        """
        notices = [
            notice for condition in found if (notice := self._fire(condition, now)) is not None
        ]
        for alert, opened in list(self._open.items()):
            if is_blind or now - opened.seen < RECOVERED_S:
                continue
            del self._open[alert]
            if opened.is_told:
                notices.append(_notice("resolved", opened, now))
        return notices

    def _fire(self, condition: Condition, now: float) -> Notice | None:
        alert = condition.alert
        opened = self._open.setdefault(alert, _Open(condition, since=now, seen=now))
        opened.condition, opened.seen = condition, now
        is_news = not opened.is_told or condition.count > opened.told_count
        is_early = now - opened.since < condition.after_s
        if not is_news or is_early or now - self._fired.get(alert, -REPEAT_S) < REPEAT_S:
            return None
        opened.is_told, opened.told_count, self._fired[alert] = True, condition.count, now
        return _notice("firing", opened, now)


def conditions(seen: Overview, limits: Limits, now: datetime) -> list[Condition]:
    """Return what is not as it should be; without Redis only that."""
    if seen.redis_error is not None:
        return [
            Condition(
                alert="redis",
                severity="critical",
                title="Redis does not answer",
                remedy="Start Redis; ingest keeps events on its disk meanwhile. `habus doctor`",
                after_s=GONE_S,
            )
        ]
    return [
        *_of_workers(seen),
        *_of_streams(seen, limits),
        *(_of_ledger(seen.ledger, now) if seen.ledger is not None else ()),
        *_of_gaps(seen),
    ]


def _of_workers(seen: Overview) -> Iterator[Condition]:
    alive = {pulse.stage for pulse in seen.pulses}
    for stage in (INGEST, ENRICH, STORE):
        if stage not in alive:
            yield Condition(
                alert=f"worker_{stage}",
                severity="critical",
                title=f"No {stage} worker is running",
                remedy=f"Look at its log and start it: `python -m {stage}`, `docker compose up -d`",
                after_s=GONE_S,
            )


def _of_streams(seen: Overview, limits: Limits) -> Iterator[Condition]:
    for stage in (ENRICH, STORE):
        groups = [
            group for stream in seen.streams for group in stream.groups if group.name == stage
        ]
        lag_s = max((group.lag_s for group in groups), default=0.0)
        if lag_s > limits.lag_s:
            yield Condition(
                alert=f"lag_{stage}",
                severity="warning",
                title=f"{stage} is {_span(lag_s)} behind",
                remedy="See what it waits for: `habus doctor`; nothing is lost meanwhile",
            )
    hours = None if seen.server is None else hours_left(seen.server, seen.streams, seen.pulses)
    if hours is not None and hours < limits.buffer_hours:
        yield Condition(
            alert="buffer",
            severity="critical" if hours < limits.buffer_hours / 4 else "warning",
            title=f"Redis and the spool are full in {hours:.1f} hours if nothing drains",
            remedy="Bring the sink back, give the spool more disk, or raise Redis's `maxmemory`",
        )


def _of_ledger(ledger: Ledger, now: datetime) -> Iterator[Condition]:
    if ledger.dead:
        yield Condition(
            alert="dead_letters",
            severity="warning",
            title=f"{ledger.dead} dead letters",
            remedy="See why, and replay or purge them: `habus dead list`, or the page",
            count=ledger.buried,
        )
    if ledger.lost and now.timestamp() - ledger.corrected_s < RECENTLY_S:
        yield Condition(
            alert="lost",
            severity="critical",
            title=f"{ledger.lost} events were lost",
            remedy="Somebody deleted entries or a consumer in Redis: `habus ledger`",
            count=ledger.lost,
        )
    if ledger.unaccounted:
        yield Condition(
            alert="unaccounted",
            severity="critical",
            title=f"{ledger.unaccounted} events are unaccounted for",
            remedy="`habus ledger`; if it stays, please report it",
            after_s=UNACCOUNTED_S,
        )


def _of_gaps(seen: Overview) -> Iterator[Condition]:
    if seen.gaps:
        yield Condition(
            alert="gap",
            severity="warning",
            title=f"Events are missing from {len(seen.gaps)} spans of time",
            remedy="habus asks Home Assistant's history; `habus ledger` shows what is missing",
            count=len(seen.gaps),
        )


def _notice(status: Literal["firing", "resolved"], opened: _Open, now: float) -> Notice:
    condition = opened.condition
    return Notice(
        alert=condition.alert,
        status=status,
        severity=condition.severity,
        title=condition.title,
        remedy=condition.remedy,
        lasted_s=round(now - opened.since, 1),
    )


def _span(seconds: float) -> str:
    for unit, length in (("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} seconds"

"""What the simulated home's recorder keeps, and how it answers."""

import re
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Iterable, Sequence
from datetime import datetime, tzinfo

import msgspec

from ingest.simulator.frames import encode
from ingest.simulator.settings import Flavour

MAX_ATTRIBUTES_BYTES = 16_384
"""Longer attributes are not recorded: `{}` stands for them.

Source: homeassistant/components/recorder/db_schema.py, MAX_STATE_ATTRS_BYTES.
"""

SIGNIFICANT_DOMAINS = frozenset(
    {"climate", "device_tracker", "humidifier", "thermostat", "water_heater"}
)
"""Domains of which a change of attributes alone is significant."""

FULL_DOMAINS = frozenset({"climate", "humidifier", "input_datetime", "thermostat", "water_heater"})
"""Domains of which a minimal response is not minimal."""

_ENTITY_ID = re.compile(r"(?!.+__)(?!_)[\da-z_]+(?<!_)\.(?!_)[\da-z_]+(?<!_)")

Row = tuple[int, int, bytes | None, bytes, int]
"""Updated (µs), changed (µs), state as JSON (None: removed), attributes up to `n`, n."""


class Question(msgspec.Struct, frozen=True):
    """The parameters of `history/history_during_period`."""

    start_time: str
    entity_ids: list[str]
    end_time: str | None = None
    include_start_time_state: bool = True
    significant_changes_only: bool = True
    minimal_response: bool = False
    no_attributes: bool = False


class History:
    """Rows of every entity, each in a ring.

    Args:
        rows: Most rows in all.
        entities: Among how many entities the rows are shared.
    """

    def __init__(self, rows: int, entities: int) -> None:
        self._each = max(50, rows // max(1, entities))
        self._rings: dict[str, deque[Row]] = {}

    def ring(self, entity_id: str) -> deque[Row]:
        """The rows of one entity, oldest first; append to it in the order of time."""
        return self._rings.setdefault(entity_id, deque(maxlen=self._each))

    def answer(self, question: Question, window: tuple[int, int], flavour: Flavour) -> bytes:
        """The result, a JSON object of entity id to rows.

        Args:
            question: What is asked; its times are not looked at.
            window: Start and end in microseconds since 1970, both exclusive.
            flavour: The version that is played.
        """
        found = []
        for entity_id in dict.fromkeys(question.entity_ids):
            rows = list(self._rings.get(entity_id, ()))
            listed = answer_for(entity_id, rows, question, window, flavour)
            if listed:
                found.append(encode(entity_id) + b":[" + b",".join(listed) + b"]")
        return b"{" + b",".join(found) + b"}"


def answer_for(
    entity_id: str,
    rows: Sequence[Row],
    question: Question,
    window: tuple[int, int],
    flavour: Flavour,
) -> list[bytes]:
    """The rows of one entity that answer a question, each as JSON."""
    start, end = window
    domain = entity_id.partition(".")[0]
    first = bisect_right(rows, start, key=lambda row: row[0])
    last = bisect_left(rows, end, key=lambda row: row[0])
    within: Iterable[Row] = rows[first:last]
    if question.significant_changes_only and domain not in SIGNIFICANT_DOMAINS:
        within = (row for row in within if row[0] == row[1])
    chosen = list(within)
    if question.include_start_time_state and first and rows[first - 1][2] is not None:
        _, _, state, attributes, n = rows[first - 1]
        chosen.insert(0, (start, start, state, attributes, n))
    if question.minimal_response and domain not in FULL_DOMAINS:
        return _minimal(chosen, question, flavour, synthetic=start)
    return [_full(row, question, flavour, synthetic=start) for row in chosen]


def _minimal(
    rows: Sequence[Row], question: Question, flavour: Flavour, synthetic: int
) -> list[bytes]:
    listed: list[bytes] = []
    before: bytes | None = b""
    for row in rows:
        if not listed:
            bare = question.no_attributes
            listed.append(_full(row, question, flavour, synthetic, bare=bare))
        elif row[2] != before:
            listed.append(
                b'{"s":%b,"lu":%b}' % (row[2] or flavour.removed, _seconds(row[0], flavour))
            )
        before = row[2]
    return listed


def _full(
    row: Row, question: Question, flavour: Flavour, synthetic: int, *, bare: bool = False
) -> bytes:
    updated, changed, state, head, n = row
    attributes = b"{}" if question.no_attributes or not head else b"%b%d}" % (head, n)
    a = b"" if bare else b',"a":' + attributes
    lu = repr(updated / 1e6).encode() if updated == synthetic else _seconds(updated, flavour)
    lc = b""
    if changed != updated and not question.significant_changes_only:
        lc = b',"lc":' + _seconds(changed, flavour)
    return b'{"s":%b%b,"lu":%b%b}' % (state or flavour.removed, a, lu, lc)


def _seconds(us: int, flavour: Flavour) -> bytes:
    """Seconds since 1970; `round(seconds * 1e6)` is the time again."""
    return repr((us + 0.2) / 1e6 if flavour.rough_times else us / 1e6).encode()


def microseconds_of(text: str, home_zone: tzinfo) -> int | None:
    """Read a time as Home Assistant does: without a zone it is local. None: it is no time."""
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        return None
    return round((when if when.tzinfo else when.replace(tzinfo=home_zone)).timestamp() * 1_000_000)


def is_entity_id(text: str) -> bool:
    """Whether this is a valid entity id."""
    return bool(_ENTITY_ID.fullmatch(text))


def visible_until(now_us: int, commit_s: float) -> int:
    """Up to when the recorder has committed: it does so each `commit_s` seconds."""
    commit_us = int(commit_s * 1_000_000)
    return now_us - now_us % commit_us if commit_us else now_us

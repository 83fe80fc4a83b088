"""The oracle's account: what happened, what stands in the sink, and where the two differ."""

import json
import math
import re
import sqlite3
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

_PLAIN_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)

Key = tuple[int, str]
"""Microseconds since 1970, entity id: names one state change."""


@dataclass
class Change:
    """A state change that the simulated home wrote down before it told anybody."""

    n: int
    state: str | None
    sent: bool


@dataclass(frozen=True)
class Gap:
    """A time of which habus says that it misses events.

    Attributes:
        start, end: Microseconds since 1970.
        entities: Of which; None: of all.
    """

    start: int
    end: int
    entities: frozenset[str] | None

    def holds(self, key: Key) -> bool:
        """Whether a change lies in it."""
        us, entity_id = key
        return self.start <= us <= self.end and (
            self.entities is None or entity_id in self.entities
        )


@dataclass
class Point:
    """What stands for one change: by series, the fields; and how often it was written."""

    series: dict[str, dict[str, object]] = field(default_factory=dict)
    writes: int = 0


class Account:
    """Reads the oracle's file and the sink's; each call of `read_on` reads what was added.

    Args:
        oracle: Written by the simulated home, see `ingest.simulator.oracle`.
        sink: Written by the fake InfluxDB: its table `log`.
        is_filtered: Whether a rule of the user leaves an entity out.
        with_history: Whether what only history knows is owed as well.
    """

    def __init__(
        self,
        oracle: Path,
        sink: Path,
        is_filtered: Callable[[str], bool],
        with_history: Callable[[str], bool] = lambda _: False,
    ) -> None:
        self._oracle, self._sink = oracle, sink
        self._is_filtered, self._with_history = is_filtered, with_history
        self._read, self._number = 0, 0
        self.changes: dict[Key, Change] = {}
        self._keys: dict[int, Key] = {}
        self.points: dict[Key, Point] = {}
        self.series: dict[str, set[str]] = {}
        """By entity, in which series its states stand: nobody renames or moves an entity here."""
        self.owed: set[Key] = set()
        self.filtered: set[Key] = set()
        self.wrong: list[str] = []
        self.gaps: list[Gap] = []
        """What habus says that it could not get."""
        self.gap_points: set[tuple[str, int]] = set()
        """The same in the sink: tags and time."""
        self.excused: Callable[[str], bool] = lambda entity_id: "unrecorded" in entity_id
        """Of which entities changes may be missing in a gap: history truly has not got them."""
        self.strangers: set[Key] = set()
        """What the home never did and may stand all the same: what rubbish looked like."""
        self.taken: set[Key] = set()
        """What somebody took off the bus before it was settled; it may be missing."""
        self.since_n = 0
        """History up to this number is not owed: it happened before we came."""

    def read_on(self) -> None:
        """Read what was added to both; the sink first, so that no point is without its change."""
        rows = self._rows()
        self._read_oracle()
        for number, measurement, tags, ns, fields in rows:
            self._number = number
            self._written(measurement, json.loads(tags), ns, json.loads(fields))

    @property
    def missing(self) -> set[Key]:
        """What is owed, was not taken away, and does not stand in the sink."""
        missing = self.owed - self.points.keys() - self.taken
        return {key for key in missing if not self.is_told(key)}

    def is_told(self, key: Key) -> bool:
        """Whether a change lies in a gap that habus tells of, and cannot be had."""
        return self.excused(key[1]) and any(gap.holds(key) for gap in self.gaps)

    @property
    def last_n(self) -> int:
        """Number of the last change that happened."""
        return len(self._keys)

    def owed_until(self, n: int) -> set[Key]:
        """What is owed of the first n changes."""
        return {key for key in self.owed if self.changes[key].n <= n}

    @property
    def repeated(self) -> int:
        """Writes of a point that stood already; allowed, and told."""
        return sum(point.writes - 1 for point in self.points.values())

    def faults(self, dead: set[Key]) -> dict[str, list[str]]:
        """Where the invariants on sets are broken, given what stands in the dead letters.

        Returns:
            Name of the invariant → examples.
        """
        stored = self.points.keys()
        broken = {
            "I1 lost": self.missing - dead,
            "I2 stored or buried what never happened": (stored | dead)
            - self.changes.keys()
            - self.strangers,
            "I3 stored twice": {key for key, point in self.points.items() if len(point.series) > 1},
            "I10 stored and buried": stored & dead,
            "I10 stored or buried though filtered": (stored | dead) & self.filtered,
        }
        said = {name: _some(keys) for name, keys in broken.items() if keys}
        strangers = {entity_id for _, entity_id in self.strangers}
        torn = [
            f"{entity_id}: {' and '.join(sorted(series))}"
            for entity_id, series in sorted(self.series.items())
            if len(series) > 1 and entity_id not in strangers
        ]
        if torn:
            said["I4 an entity in several series"] = torn[:5]
        if self.wrong:
            said["I4 wrong value"] = self.wrong[:5]
        return said

    def _read_oracle(self) -> None:
        with self._oracle.open("rb") as file:
            file.seek(self._read)
            added = file.read()
        whole = added[: added.rfind(b"\n") + 1]
        self._read += len(whole)
        for line in whole.splitlines():
            if line.startswith(b"!"):
                _, first, last = line.split(b"\t")
                for n in range(int(first), int(last) + 1):
                    self._unsent(n)
                continue
            n, us, entity_id, fate, state = line.split(b"\t", 4)
            key = (int(us), entity_id.decode())
            change = Change(int(n), json.loads(state), fate == b"sent")
            self.changes[key] = change
            self._keys[change.n] = key
            self._owe(key, change)

    def _owe(self, key: Key, change: Change) -> None:
        entity_id = key[1]
        from_history = change.n > self.since_n and self._with_history(entity_id)
        if not (change.sent or from_history):
            self.owed.discard(key)
        elif self._is_filtered(entity_id):
            self.filtered.add(key)
        else:
            self.owed.add(key)

    def _unsent(self, n: int) -> None:
        key = self._keys[n]
        change = self.changes[key]
        if change.sent:
            change.sent = False
            self._owe(key, change)

    def _rows(self) -> list[tuple[int, str, str, int, str]]:
        if not self._sink.exists():
            return []
        with closing(sqlite3.connect(self._sink)) as db:
            return db.execute(
                "SELECT number, measurement, tags, time, fields FROM log WHERE number > ?"
                " ORDER BY number",
                (self._number,),
            ).fetchall()

    def _written(
        self, measurement: str, tags: Mapping[str, str], ns: int, fields: Mapping[str, object]
    ) -> None:
        if measurement == "habus_gap":
            self.gap_points.add((json.dumps(tags, sort_keys=True), ns))
            return
        if "entity_id" not in tags:  # not an event of ours
            return
        key = (ns // 1000, tags["entity_id"])
        point = self.points.setdefault(key, Point())
        point.writes += 1
        series = measurement + json.dumps(tags, sort_keys=True)
        stands = point.series.setdefault(series, {})
        stands.update(fields)
        change = self.changes.get(key)
        if change is not None and change.state is not None:  # a removal has no name
            self.series.setdefault(key[1], set()).add(series)
        if change is not None and (problem := _difference(measurement, key, change.state, stands)):
            self.wrong.append(problem)


def _difference(
    measurement: str, key: Key, state: str | None, fields: Mapping[str, object]
) -> str | None:
    """How a point differs from the state it stands for; None: it does not."""
    available = state is not None and state not in {"unavailable", "unknown", ""}
    wanted: dict[str, object] = {"available": available}
    if available:
        assert state is not None
        number = _number(state)
        if number is None:
            wanted["state"] = state.replace("\n", "\\n")  # as common.sink.line writes it
        else:
            wanted["value"] = number
    elif "value" in fields:
        return f"{key}: a value, though it is {state!r}"
    if measurement != key[1].partition(".")[0]:
        return f"{key}: in measurement {measurement!r}"
    for name, value in wanted.items():
        if fields.get(name) != value:
            return f"{key}: {name} is {fields.get(name)!r}, and should be {value!r}"
    return None


def _number(text: str) -> float | None:
    number = float(text) if _PLAIN_NUMBER.fullmatch(text.strip()) else math.inf
    return number if math.isfinite(number) else None


def _some(keys: Iterable[Key]) -> list[str]:
    listed = sorted(keys)
    shown = [f"{us} {entity_id}" for us, entity_id in listed[:5]]
    return shown + ([f"… {len(listed)} in all"] if len(listed) > len(shown) else [])

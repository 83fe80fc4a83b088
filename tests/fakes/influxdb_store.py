"""What a fake InfluxDB keeps, and how InfluxDB 1, 2 and 3 refuse what they cannot keep."""

import re
import sqlite3
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from tests.fakes.line_protocol import BadLine, Line, Value, parse_line, split

PRECISIONS = {"ns": 1, "us": 1_000, "u": 1_000, "ms": 1_000_000, "s": 1_000_000_000}
MAX_STRING = 1_048_576
TYPES = {float: "float", int: "integer", str: "string", bool: "boolean"}


class Refusal(msgspec.Struct, frozen=True):
    """An answer that says no: HTTP status and body."""

    status: int
    body: bytes
    code: str = ""


class Stored(msgspec.Struct):
    """One point: what stands, and how often it was written."""

    line: Line
    time: int
    fields: dict[str, Value]
    writes: int = 0


def refusal(version: int, status: int, code: str, message: str, data: object = None) -> Refusal:
    """Word an error as this major version does."""
    body: dict[str, object]
    if version == 2:
        body = {"code": code, "message": message}
    else:
        body = {"error": message} | ({} if data is None else {"data": data})
    return Refusal(status, msgspec.json.encode(body), code)


class Kept:
    """Points by series and time; each measurement's fields have a type for good.

    Args:
        version: Major version of InfluxDB whose rules hold.
        retention_s: Seconds after which a point is too old; None for never.
        file: SQLite file that keeps the same for other processes: table `points` with series,
            time in ns, fields as JSON, writes; and table `log` with every write of every point:
            tags as JSON, time in ns, fields as JSON.
    """

    def __init__(
        self, version: int = 2, retention_s: float | None = None, file: Path | None = None
    ) -> None:
        self.version = version
        self.retention_s = retention_s
        self.points: dict[tuple[str, int], Stored] = {}
        self._types: dict[tuple[str, str], type] = {}
        self._db: sqlite3.Connection | None = None
        if file is not None:
            self._db = sqlite3.connect(file, isolation_level=None)
            self._db.executescript(
                "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;"
                "CREATE TABLE IF NOT EXISTS points (series TEXT, time INTEGER, fields TEXT,"
                " writes INTEGER, PRIMARY KEY (series, time)) WITHOUT ROWID;"
                "CREATE TABLE IF NOT EXISTS log (number INTEGER PRIMARY KEY, measurement TEXT,"
                " tags TEXT, time INTEGER, fields TEXT)"
            )

    @property
    def writes(self) -> int:
        """How many points were written, doubles included."""
        return sum(point.writes for point in self.points.values())

    def lines(self) -> list[Line]:
        """Every point that stands, by series and time."""
        return [
            Line(p.line.measurement, p.line.tags, p.fields, p.time)
            for _, p in sorted(self.points.items())
        ]

    def write(self, body: str, ns_each: int, *, first_half_only: bool = False) -> Refusal | None:
        """Keep what can be kept; return how the rest is refused."""
        raw = split(body)
        good, bad = [], []
        for number, text in enumerate(raw, 1):
            try:
                good.append((number, text, parse_line(text, self.version)))
            except BadLine as error:
                bad.append((number, text, error.reason))
        if bad and self.version == 2:
            message = "\n".join(f"unable to parse '{text}': {reason}" for _, text, reason in bad)
            return refusal(2, 400, "invalid", message)
        if first_half_only:
            good = good[: (len(good) + 1) // 2]
        kept = []
        refused = list(bad)
        for number, text, line in good:
            reason = self._why_not(line, ns_each)
            if reason:
                refused.append((number, text, reason))
            else:
                kept.append((line, self._keep(line, ns_each)))
        self._save(kept)
        return self._refusal(refused, bad) if refused else None

    def _refusal(
        self, refused: list[tuple[int, str, str]], bad: list[tuple[int, str, str]]
    ) -> Refusal:
        if self.version == 3:
            data = [
                {"original_line": text, "line_number": number, "error_message": reason}
                for number, text, reason in refused[:100]
            ]
            message = "partial write of line protocol occurred"
            return refusal(3, 400, "", message, data)
        if bad:
            _, text, reason = bad[0]
            return refusal(
                1, 400, "", f"partial write: unable to parse '{text}': {reason} dropped=0"
            )
        message = f"partial write: {refused[0][2]} dropped={len(refused)}"
        if self.version == 1:
            return refusal(1, 400, "", message)
        message = f"failure writing points to database: {message}"
        return refusal(2, 422, "unprocessable entity", message)

    def _why_not(self, line: Line, ns_each: int) -> str | None:
        if self.retention_s is not None and line.time is not None:
            oldest = time.time_ns() - int(self.retention_s * 1e9)
            when = line.time * ns_each
            if when < oldest and self.version == 2:
                return (
                    f"dropped 1 points outside retention policy of duration {self.retention_s:.0f}s"
                    f" - oldest point {line.series} at {_rfc3339(when)} dropped because it violates"
                    f" a Retention Policy Lower Bound at {_rfc3339(oldest)}"
                )
            if when < oldest:
                return "points beyond retention policy"
        for name, value in line.fields.items():
            if isinstance(value, str) and len(value.encode()) > MAX_STRING:
                size = len(value.encode())
                where = f'input field "{name}" on measurement "{line.measurement}"'
                return f"{where} is too long, {size} > {MAX_STRING}"
            known = self._types.get((line.measurement, name))
            if known is not None and known is not type(value):
                return self._conflict(line.measurement, name, type(value), known)
        return None

    def _conflict(self, measurement: str, field: str, new: type, old: type) -> str:
        if self.version == 3:
            kind = "iox::column_type::field::"
            return (
                f"invalid column type for column '{field}', expected {kind}{TYPES[old]},"
                f" got {kind}{TYPES[new]}"
            )
        return (
            f'field type conflict: input field "{field}" on measurement "{measurement}" is type'
            f" {TYPES[new]}, already exists as type {TYPES[old]}"
        )

    def _keep(self, line: Line, ns_each: int) -> Stored:
        for name, value in line.fields.items():
            self._types[line.measurement, name] = type(value)
        when = time.time_ns() if line.time is None else line.time * ns_each
        point = self.points.setdefault((line.series, when), Stored(line, when, {}))
        point.fields.update(line.fields)
        point.writes += 1
        return point

    def _save(self, written: Sequence[tuple[Line, Stored]]) -> None:
        if self._db is None:
            return
        points = [point for _, point in written]
        self._db.execute("BEGIN")
        self._db.executemany(
            "INSERT OR REPLACE INTO points VALUES (?, ?, ?, ?)",
            [
                (p.line.series, p.time, msgspec.json.encode(p.fields).decode(), p.writes)
                for p in points
            ],
        )
        self._db.executemany(
            "INSERT INTO log (measurement, tags, time, fields) VALUES (?, ?, ?, ?)",
            [
                (
                    line.measurement,
                    msgspec.json.encode(line.tags).decode(),
                    point.time,
                    msgspec.json.encode(line.fields).decode(),
                )
                for line, point in written
            ],
        )
        self._db.execute("COMMIT")

    def close(self) -> None:
        """Let go of the file."""
        if self._db is not None:
            self._db.close()

    def query(self, text: str) -> Mapping[str, object]:
        """Answer the few shapes of SELECT that habus asks; anything else is an error."""
        asked = _SELECT.fullmatch(text)
        if asked is None:
            return {"error": f"error parsing query: {text}"}
        columns = re.findall(r'"((?:[^"\\]|\\.)*)"', asked["columns"])
        names = None
        if asked["source"] != "/.*/":
            names = {_unescape(n) for n in re.findall(r'"((?:[^"\\]|\\.)*)"', asked["source"])}
        tags = {k: _unescape(v) for k, v in _TAG.findall(asked["where"] or "")}
        start, end = int(asked["start"]), int(asked["end"])
        found: dict[str, list[list[object]]] = {}
        points = sorted(
            self.points.values(), key=lambda p: p.time, reverse=asked["order"] == "DESC"
        )
        for point in points:
            name = point.line.measurement
            if not start <= point.time < end or (names is not None and name not in names):
                continue
            if any(point.line.tags.get(k, "") != v for k, v in tags.items()):
                continue
            if not any(column in point.fields for column in columns):
                continue
            rows = found.setdefault(name, [])
            if len(rows) < int(asked["limit"]):
                row = {**point.line.tags, **point.fields}
                rows.append([_rfc3339(point.time), *(row.get(column) for column in columns)])
        series = [
            {"name": name, "columns": ["time", *columns], "values": rows}
            for name, rows in sorted(found.items())
        ]
        return {"results": [{"statement_id": 0, **({"series": series} if series else {})}]}


_SELECT = re.compile(
    r"SELECT (?P<columns>.+?) FROM (?P<source>/\.\*/|(?:\"(?:[^\"\\]|\\.)*\"(?:, )?)+)"
    r" WHERE time >= (?P<start>-?\d+) AND time < (?P<end>-?\d+)"
    r"(?P<where>(?: AND \"\w+\" = '(?:[^'\\]|\\['\\])*')*)"
    r" ORDER BY time (?P<order>ASC|DESC) LIMIT (?P<limit>\d+)"
)
_TAG = re.compile(r" AND \"(\w+)\" = '((?:[^'\\]|\\['\\])*)'")


def _unescape(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)


def _rfc3339(ns: int) -> str:
    seconds, rest = divmod(ns, 1_000_000_000)
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    fraction = f".{rest:09d}".rstrip("0").rstrip(".")
    return f"{stamp}{fraction}Z"

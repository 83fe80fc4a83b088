"""A strict reader of line protocol, written against its description and not against our writer.

Source: https://docs.influxdata.com/influxdb/v2/reference/syntax/line-protocol/
"""

import re
from collections.abc import Iterator

import msgspec

Value = float | int | str | bool


class BadLine(Exception):
    """The line is no line protocol; says why, in InfluxDB's words."""

    def __init__(self, reason: str, line: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.line = line


class Line(msgspec.Struct, frozen=True):
    """One point as InfluxDB understands it; fields keep their types."""

    measurement: str
    tags: dict[str, str]
    fields: dict[str, Value]
    time: int | None = None

    @property
    def series(self) -> str:
        """Measurement and tags, the same text for the same series."""
        return ",".join([self.measurement, *(f"{k}={v}" for k, v in sorted(self.tags.items()))])

    @property
    def key(self) -> tuple[str, int | None]:
        """What overwrites: series and time."""
        return self.series, self.time


_INTEGER = re.compile(r"[+-]?\d+i\Z")
_UNSIGNED = re.compile(r"\d+u\Z")
_FLOAT = re.compile(r"-?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?\Z")
_TRUE = {"t", "T", "true", "True", "TRUE"}
_FALSE = {"f", "F", "false", "False", "FALSE"}
_MAX_KEY = 65_535


def split(body: str) -> list[str]:
    """Cut a body into its lines; a line feed between the quotes of a field does not cut."""
    lines, start, quoted, fields, escaped = [], 0, False, False, False
    for at, char in enumerate(body):
        if escaped:
            escaped = False
        elif char == "\\":
            escaped = True
        elif char == " " and not quoted:
            fields = True
        elif char == '"' and fields:
            quoted = not quoted
        elif char == "\n" and not quoted:
            lines.append(body[start:at])
            start, fields = at + 1, False
    lines.append(body[start:])
    stripped = (line.strip(" \t\0") for line in lines)
    return [line for line, text in zip(lines, stripped, strict=True) if text and text[0] != "#"]


def parse(body: str, version: int = 2) -> Iterator[Line]:
    """Read each line of a body.

    Args:
        body: Lines of line protocol.
        version: 2 reads tags as InfluxDB 1 and 2 do, 3 as InfluxDB 3 does: there a backslash
            before a backslash is an escape.

    Raises:
        BadLine: At the first line that is none.
    """
    for line in split(body):
        try:
            yield parse_line(line, version)
        except BadLine as error:
            raise BadLine(error.reason, line) from None


def parse_line(line: str, version: int = 2) -> Line:
    """Read one line.

    Raises:
        BadLine: When it is none.
    """
    escapable = ",= \\" if version == 3 else ",= "
    name, at = _until(line, 0, ", ", escapable)
    if not name:
        raise BadLine("missing measurement")
    tags, at = _tags(line, at, escapable)
    if len(line[:at].encode()) > _MAX_KEY:
        raise BadLine(f"max key length exceeded: {len(line[:at].encode())} > {_MAX_KEY}")
    fields: dict[str, Value] = {}
    while True:
        field, at = _until(line, at + 1, "=, ", escapable)
        if not field or line[at : at + 1] != "=":
            raise BadLine("missing fields" if not fields and not field else "invalid field format")
        fields[field], at = _value(line, at + 1)
        if line[at : at + 1] != ",":
            break
    time = line[at:].strip(" ")
    if time and not re.fullmatch(r"-?\d+", time):
        raise BadLine("bad timestamp")
    return Line(name, tags, fields, int(time) if time else None)


def _tags(line: str, at: int, escapable: str) -> tuple[dict[str, str], int]:
    tags: dict[str, str] = {}
    while line[at : at + 1] == ",":
        tag, at = _until(line, at + 1, "=, ", escapable)
        if not tag or line[at : at + 1] != "=":
            raise BadLine("missing tag key" if not tag else "missing tag value")
        value, at = _until(line, at + 1, "=, ", escapable)
        if not value or line[at : at + 1] == "=":
            raise BadLine("missing tag value" if not value else "invalid tag format")
        if tag in tags:
            raise BadLine("duplicate tags")
        tags[tag] = value
    return tags, at


def _until(line: str, at: int, ends: str, escapable: str) -> tuple[str, int]:
    text = []
    while at < len(line) and line[at] not in ends:
        if line[at] == "\\" and line[at + 1 : at + 2] and line[at + 1] in escapable:
            at += 1
        text.append(line[at])
        at += 1
    return "".join(text), at


def _value(line: str, at: int) -> tuple[Value, int]:
    if line[at : at + 1] == '"':
        return _string(line, at + 1)
    end = at
    while end < len(line) and line[end] not in ", ":
        end += 1
    text = line[at:end]
    if _INTEGER.match(text) or _UNSIGNED.match(text):
        return int(text[:-1]), end
    if _FLOAT.match(text):
        return float(text), end
    if text in _TRUE or text in _FALSE:
        return text in _TRUE, end
    raise BadLine("missing field value" if not text else f"invalid number or boolean {text!r}")


def _string(line: str, at: int) -> tuple[str, int]:
    text = []
    while at < len(line) and line[at] != '"':
        if line[at] == "\\" and line[at + 1 : at + 2] in {'"', "\\"}:
            at += 1
        text.append(line[at])
        at += 1
    if at >= len(line):
        raise BadLine("unbalanced quotes")
    return "".join(text), at + 1

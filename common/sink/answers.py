"""What an answer of InfluxDB means, and what a person can do about it.

Sources:
    https://docs.influxdata.com/influxdb/v2/write-data/troubleshoot/
    https://docs.influxdata.com/influxdb/v1/tools/api/#write-http-endpoint
    https://docs.influxdata.com/influxdb3/core/write-data/http-api/v3-write-lp/
"""

import re
from datetime import datetime
from email.utils import parsedate_to_datetime

import msgspec

from common.errors import PointRejected, SinkTooSlow, SinkUnavailable, WriteFailed

WRITTEN = 204
"""The only status that says that every point stands."""

MAX_RETRY_AFTER_S = 300.0
"""Longest pause that a server may ask us for."""

_REASONS = (
    ("field_type_conflict", re.compile(r"field type conflict|invalid column type", re.IGNORECASE)),
    ("outside_retention", re.compile(r"(outside|beyond) retention policy", re.IGNORECASE)),
    ("too_large", re.compile(r"too long|too large|max key length", re.IGNORECASE)),
)
_QUOTED = re.compile(r"(?<=unable to parse )'.*'(?=: )|\"[^\"]*\"", re.DOTALL)
"""What InfluxDB repeats of the points themselves: it may hold any words."""

_ABOUT_SETTINGS = re.compile(
    r"invalid precision|(please provide )?(either )?org|bucket|(invalid )?(database|db)\b",
    re.IGNORECASE,
)
"""How a 400 begins that speaks of the address and not of points."""

_WILL_PASS = re.compile(
    r"cache-max-memory-size|engine is closed|canceled|deadline|read-only|no space left"
    r"|input/output error|permission denied|cannot allocate memory|too many open files"
    r"|previously failed|shard is disabled",
    re.IGNORECASE,
)
"""A 500 that says that InfluxDB is in trouble itself, whatever the points are."""

_UNTIL_RESTARTED = re.compile(r"no space left|too many open files|previously failed")
"""After these InfluxDB 2.7 and 2.9 go on refusing, also when their cause is mended."""

_CUT_SHORT = re.compile(
    rb'\s*\{\s*(?:"code"\s*:\s*"[^"]*"\s*,\s*"message"|"error")\s*:\s*"(.+)', re.DOTALL
)
"""InfluxDB's error of which only the beginning was read: it repeats each line that is bad."""

_ABOUT_POINTS = (400, 422)
_TOO_LARGE = 413
_BUSY = (408, 429, 499)
_TOO_SLOW = (408, 504)
_SERVER_ERROR = 500
_MAX_MESSAGE = 2000


class Answer(msgspec.Struct, frozen=True):
    """What came back over HTTP.

    Attributes:
        status: HTTP status.
        body: As it came, perhaps only its beginning.
        retry_after: The header of that name.
        version: The header `X-Influxdb-Version`.
        length: The header `Content-Length`, in bytes.
    """

    status: int
    body: bytes = b""
    retry_after: str | None = None
    version: str | None = None
    length: str | None = None

    @property
    def is_written(self) -> bool:
        """Whether every point stands: 204, and not from somebody who announces a page with it."""
        return self.status == WRITTEN and (self.length or "0").strip() == "0"


class Target(msgspec.Struct, frozen=True):
    """Where we write; `url` without a password."""

    url: str
    org: str
    bucket: str


class _Error(msgspec.Struct):
    """InfluxDB 2 says `code` and `message`; 1 and 3 say `error`; 3 adds `data`."""

    code: str = ""
    message: str = ""
    error: str = ""
    data: object = None


class _Line(msgspec.Struct):
    """What InfluxDB 3 says of a line."""

    error_message: str = ""


def error_of(answer: Answer, target: Target, now: datetime) -> SinkUnavailable | PointRejected:
    """Return the error that asks for the right reaction to what does not say `is_written`.

    400 and 422 speak of points only when they are InfluxDB's and not about our address: a
    reverse proxy that answers 400, or a wrong INFLUXDB_ORG, must not bury events.

    Args:
        answer: What came back.
        target: Where we write, for the message.
        now: The time, for a Retry-After that is a date.
    """
    error = _error(answer.body)
    words = error.message or error.error
    if answer.status == _TOO_LARGE:
        return PointRejected(_shown(error) or "the request is too large", reason="too_large")
    is_influxdbs = bool(error.error or (error.code and error.message))
    if answer.status in _ABOUT_POINTS and is_influxdbs and not _ABOUT_SETTINGS.match(words):
        return PointRejected(_shown(error), reason=_reason(error))
    said, advice = _meaning(answer.status, target, words.lower())
    quoted = f": {_shown(error)}" if words else ""
    return _kind(answer.status, words)(
        f"InfluxDB at {target.url} {said} ({answer.status}{quoted}); {advice}",
        retry_after_s(answer.retry_after, now),
    )


def _kind(status: int, words: str) -> type[SinkUnavailable]:
    if status in _TOO_SLOW or (status == _SERVER_ERROR and "timeout" in words.lower()):
        return SinkTooSlow
    if status == _SERVER_ERROR and not _WILL_PASS.search(words):
        return WriteFailed
    return SinkUnavailable


def _meaning(  # noqa: PLR0911 - an answer, a return
    status: int, target: Target, words: str
) -> tuple[str, str]:
    """What a status says of InfluxDB, and what to do."""
    match status:
        case 401:
            return "refuses our token", "set INFLUXDB_TOKEN to one that may write to the bucket"
        case 403:
            return (
                f"does not let our token use bucket {target.bucket!r}",
                "give INFLUXDB_TOKEN the right to read and write INFLUXDB_BUCKET",
            )
        case 404 if "organization" in words:
            return (
                f"does not know the organisation {target.org!r}",
                "set INFLUXDB_ORG to one that is there",
            )
        case 404 if "dbrp" in words:  # a bucket can be written without, but not asked in InfluxQL
            command = f"influx v1 dbrp create --db {target.bucket} --rp autogen --bucket-id ID"
            return (
                f"has no DBRP mapping for bucket {target.bucket!r}",
                f"check INFLUXDB_BUCKET, and if it is right make one: {command} --default",
            )
        case 404 if any(word in words for word in ("bucket", "database")):
            return (
                f"does not know the bucket {target.bucket!r}",
                "make it, or set INFLUXDB_BUCKET to one that is there",
            )
        case 400 | 422 if words:
            return "refuses our request", "check INFLUXDB_URL, INFLUXDB_ORG and INFLUXDB_BUCKET"
        case 500 if _UNTIL_RESTARTED.search(words):
            return "is in trouble", "mend what it names, then restart it: until then it refuses"
        case _ if status in _BUSY or status >= _SERVER_ERROR:
            return "cannot take it now", "we try again"
        case _:
            return (
                "does not answer as InfluxDB does",
                "check that INFLUXDB_URL leads to InfluxDB 1.8, 2.x or 3.x",
            )


def retry_after_s(text: str | None, now: datetime) -> float | None:
    """Seconds to wait, from 0 to `MAX_RETRY_AFTER_S`; None where the header says nothing.

    Source: https://www.rfc-editor.org/rfc/rfc9110#field.retry-after
    """
    text = (text or "").strip()
    if re.fullmatch(r"\d+(\.\d+)?", text, re.ASCII):
        return min(float(text), MAX_RETRY_AFTER_S)
    try:
        seconds = (parsedate_to_datetime(text) - now).total_seconds()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return min(max(seconds, 0.0), MAX_RETRY_AFTER_S)


def _error(body: bytes) -> _Error:
    """InfluxDB's own words, or none when the body is not InfluxDB's."""
    try:
        return msgspec.json.decode(body, type=_Error)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        cut = _CUT_SHORT.match(body)
        return _Error(error=cut[1].decode(errors="replace")) if cut else _Error()


def _shown(error: _Error) -> str:
    """Its words, at most `_MAX_MESSAGE` of them: InfluxDB gives its reason last."""
    words = error.message or error.error
    if error.data is not None:
        words += f" {msgspec.json.encode(error.data).decode()}"
    words = words.strip()
    half = _MAX_MESSAGE // 2
    return words if len(words) <= _MAX_MESSAGE else f"{words[: half - 1]}…{words[-half:]}"


def _reason(error: _Error) -> str:
    """Which reason InfluxDB gives, whatever the points say that it repeats."""
    words = error.message or error.error
    if error.data is not None:
        lines = error.data if isinstance(error.data, list) else [error.data]
        for line in lines:
            try:
                words += f"\n{msgspec.convert(line, _Line).error_message}"
            except msgspec.ValidationError:
                continue
    words = _QUOTED.sub("", words)
    return next((reason for reason, said in _REASONS if said.search(words)), "point_rejected")

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

from common.errors import PointRejected, SinkUnavailable

WRITTEN = 204
"""The only status that says that every point stands."""

MAX_RETRY_AFTER_S = 300.0
"""Longest pause that a server may ask us for."""

_REASONS = (
    ("field_type_conflict", re.compile(r"field type conflict|invalid column type", re.IGNORECASE)),
    ("outside_retention", re.compile(r"retention policy", re.IGNORECASE)),
    ("too_large", re.compile(r"too long|too large|max key length", re.IGNORECASE)),
)
_ABOUT_POINTS = (400, 422)
_TOO_LARGE = 413
_BUSY = (408, 429, 499)
_SERVER_ERROR = 500
_MAX_MESSAGE = 2000


class Answer(msgspec.Struct, frozen=True):
    """What came back over HTTP.

    Attributes:
        status: HTTP status.
        body: As it came.
        retry_after: The header of that name.
        version: The header `X-Influxdb-Version`.
    """

    status: int
    body: bytes = b""
    retry_after: str | None = None
    version: str | None = None


class Target(msgspec.Struct, frozen=True):
    """Where we write; `url` without a password."""

    url: str
    org: str
    bucket: str


class _Error(msgspec.Struct):
    """InfluxDB 2 says `message`; 1 and 3 say `error`; 3 adds `data`."""

    message: str = ""
    error: str = ""
    data: object = None


def error_of(answer: Answer, target: Target, now: datetime) -> SinkUnavailable | PointRejected:
    """Return the error that asks for the right reaction to anything but 204.

    400 and 422 speak of points only when they are InfluxDB's: a reverse proxy that answers
    400 in HTML must not bury events.

    Args:
        answer: What came back.
        target: Where we write, for the message.
        now: The time, for a Retry-After that is a date.
    """
    words = _words(answer.body)
    if answer.status == _TOO_LARGE:
        return PointRejected(words or "the request is too large", reason="too_large")
    if answer.status in _ABOUT_POINTS and words:
        return PointRejected(words, reason=_reason(words))
    said, advice = _meaning(answer.status, target, words.lower())
    quoted = f": {words}" if words else ""
    return SinkUnavailable(
        f"InfluxDB at {target.url} {said} ({answer.status}{quoted}); {advice}",
        retry_after_s(answer.retry_after, now),
    )


def _meaning(status: int, target: Target, words: str) -> tuple[str, str]:
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
        case 404 if any(word in words for word in ("bucket", "database", "dbrp")):
            return (
                f"does not know the bucket {target.bucket!r}",
                "make it, or set INFLUXDB_BUCKET to one that is there",
            )
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
    except (ValueError, TypeError, OverflowError):
        return None
    return min(max(seconds, 0.0), MAX_RETRY_AFTER_S)


def _words(body: bytes) -> str:
    """InfluxDB's own words, or nothing when the body is not InfluxDB's."""
    try:
        error = msgspec.json.decode(body, type=_Error)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return ""
    words = error.message or error.error
    if error.data is not None:
        words += f" {msgspec.json.encode(error.data).decode()}"
    return words[:_MAX_MESSAGE].strip()


def _reason(words: str) -> str:
    return next((reason for reason, said in _REASONS if said.search(words)), "point_rejected")

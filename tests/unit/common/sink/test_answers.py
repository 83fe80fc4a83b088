"""What each answer of InfluxDB means."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import PointRejected, SinkUnavailable
from common.sink.answers import MAX_RETRY_AFTER_S, Answer, Target, error_of, retry_after_s

NOW = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
TARGET = Target("http://db:8086", "home", "events")

CONFLICT = (
    "failure writing points to database: partial write: field type conflict: input field "
    '"value" on measurement "cpu" is type float, already exists as type integer dropped=1'
)
RETENTION = (
    "failure writing points to database: partial write: dropped 4 points outside retention "
    "policy of duration 24h0m0s dropped=4 for database: x for retention policy: autogen"
)


def v2(message, code="invalid"):
    return f'{{"code":"{code}","message":"{message}"}}'.replace('input field "value"', "f").encode()


@pytest.mark.parametrize(
    ("status", "body", "reason", "words"),
    [
        (422, v2(CONFLICT.replace('"', "'")), "field_type_conflict", "already exists as type"),
        (422, v2(RETENTION), "outside_retention", "24h0m0s"),
        (
            422,
            v2("partial write: points beyond retention policy dropped=1"),
            "outside_retention",
            "",
        ),
        (422, v2("input field x on measurement m is too long, 2 > 1"), "too_large", "2 > 1"),
        (400, v2("unable to parse 'x': missing fields"), "point_rejected", "missing fields"),
        (400, v2("max key length exceeded: 70000 > 65535"), "too_large", "70000"),
        (400, b'{"error":"field type conflict"}', "field_type_conflict", ""),
        (400, b'{"error":"partial write: unable to parse"}', "point_rejected", ""),
        (
            400,
            (
                b'{"error":"partial write of line protocol occurred","data":[{"line_number":2,'
                b'"error_message":"invalid column type for column \'temp\', expected float"}]}'
            ),
            "field_type_conflict",
            '"line_number":2',
        ),
        (413, b'{"code":"request too large","message":"batch is too large"}', "too_large", "batch"),
        (413, b"<html>nginx</html>", "too_large", "too large"),
        (413, b"", "too_large", "too large"),
    ],
)
def test_what_speaks_of_points_rejects_them(status, body, reason, words):
    """400, 413 and 422 in InfluxDB's own words are rejections, each with its reason."""
    error = error_of(Answer(status, body), TARGET, NOW)
    assert isinstance(error, PointRejected)
    assert error.reason == reason
    assert words in str(error)


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (400, b"<html>The plain HTTP request was sent to HTTPS port</html>", "INFLUXDB_URL"),
        (400, b"", "INFLUXDB_URL"),
        (400, b"[1]", "INFLUXDB_URL"),
        (422, b"{}", "INFLUXDB_URL"),
        (401, v2("unauthorized access"), "INFLUXDB_TOKEN"),
        (403, v2("insufficient permissions for write"), "INFLUXDB_BUCKET"),
        (404, v2("organization name x not found"), "INFLUXDB_ORG"),
        (404, v2("bucket x not found"), "INFLUXDB_BUCKET"),
        (404, b'{"error":"database not found: x"}', "INFLUXDB_BUCKET"),
        (404, b'{"error":"no dbrp mapping found"}', "INFLUXDB_BUCKET"),
        (404, b"404 page not found\n", "INFLUXDB_URL"),
        (200, b"<html>", "INFLUXDB_URL"),
        (302, b"", "INFLUXDB_URL"),
        (405, b"", "INFLUXDB_URL"),
        (408, b"", "try again"),
        (429, b"", "try again"),
        (499, b"", "try again"),
        (500, v2("timeout"), "timeout"),
        (503, b"\xff\xfe", "try again"),
        (524, b"", "try again"),
    ],
)
def test_everything_else_waits_and_says_what_to_change(status, body, said):
    """Nothing that may be the connection's or the settings' fault rejects a point."""
    error = error_of(Answer(status, body), TARGET, NOW)
    assert isinstance(error, SinkUnavailable)
    assert said in str(error)
    assert str(status) in str(error)
    assert TARGET.url in str(error)
    assert error.retry_after is None


def test_a_long_message_is_cut():
    """InfluxDB repeats every bad line in its message; a dead letter holds the start of it."""
    error = error_of(Answer(400, v2("x" * 100_000)), TARGET, NOW)
    assert len(str(error)) == 2000


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("", None),
        ("7", 7.0),
        (" 7 ", 7.0),
        ("1.5", 1.5),
        ("0", 0.0),
        ("-1", None),
        ("soon", None),
        ("NaN", None),
        ("٣", None),
        ("9" * 400, MAX_RETRY_AFTER_S),
        (format_datetime(NOW + timedelta(seconds=30), usegmt=True), 30.0),
        (format_datetime(NOW - timedelta(seconds=30), usegmt=True), 0.0),
        (format_datetime(NOW + timedelta(days=300), usegmt=True), MAX_RETRY_AFTER_S),
        ("Fri, 20 Nov 2026 15:00:30", None),
        ("Fri, 99 Nov 2026 15:00:30 GMT", None),
    ],
)
def test_retry_after_is_seconds_or_a_date_or_nothing(header, seconds):
    """Every form of Retry-After is a bounded pause, and junk is none."""
    assert retry_after_s(header, NOW) == seconds
    error = error_of(Answer(503, b"", header), TARGET, NOW)
    assert isinstance(error, SinkUnavailable)
    assert error.retry_after == seconds


@given(st.integers(100, 599).filter(lambda status: status != 204), st.binary(), st.text())
def test_every_answer_has_a_reaction(status, body, header):
    """Whatever a server answers is one of our two errors, and the pause is within its bounds."""
    error = error_of(Answer(status, body, header), TARGET, NOW)
    if isinstance(error, SinkUnavailable):
        assert error.retry_after is None or 0 <= error.retry_after <= MAX_RETRY_AFTER_S
    else:
        assert status in {400, 413, 422}

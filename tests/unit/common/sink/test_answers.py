"""What each answer of InfluxDB means, one row an answer.

Sources:
    https://docs.influxdata.com/influxdb/v2/write-data/troubleshoot/
    https://github.com/influxdata/influxdb/tree/v2.7.12: http/write_handler.go, tsdb/shard.go,
    v1/coordinator/points_writer.go, tsdb/engine/tsm1/engine.go
    https://docs.influxdata.com/influxdb/v1/tools/api/#write-http-endpoint
    https://docs.influxdata.com/influxdb3/core/write-data/http-api/v3-write-lp/
"""

import gzip
from collections import Counter
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import PointRejected, SinkTooSlow, SinkUnavailable, WriteFailed
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
        # 1.8 words what 2.x answers with 422 as 400
        (
            400,
            b'{"error":"partial write: points beyond retention policy dropped=2"}',
            "outside_retention",
            "dropped=2",
        ),
        (
            400,
            b'{"error":"partial write: field type conflict: input field \\"v\\" dropped=1"}',
            "field_type_conflict",
            "dropped=1",
        ),
        # a tag or a field named `time`
        (422, v2("invalid tag key: input tag time on measurement m"), "point_rejected", "tag key"),
        # 3 Core refuses the whole of a body with accept_partial=false
        (
            400,
            (
                b'{"error":"parsing failed for write_lp endpoint","data":{"original_line":"a b",'
                b'"line_number":1,"error_message":"invalid column type for column v"}}'
            ),
            "field_type_conflict",
            "original_line",
        ),
        (400, b'{"error":"parsing failed","data":[7,{"error_message":5}]}', "point_rejected", "7"),
        # 2.9 names the retention policy beside whatever it says
        (
            422,
            v2("invalid field name: it is stripped dropped=0 for retention policy: autogen"),
            "point_rejected",
            "stripped",
        ),
        # what it repeats of a point is not its reason
        (
            400,
            v2("unable to parse 'm,a=field\\\\ type\\\\ conflict x': missing fields"),
            "point_rejected",
            "missing",
        ),
        (
            422,
            b'{"code":"x","message":"invalid: field \\"retention policy\\" on \\"too long\\""}',
            "point_rejected",
            "invalid",
        ),
        (400, v2("unable to parse 'm " + "x" * 9000 + "': max key length"), "too_large", "max key"),
        # a refusal of which we read only the beginning
        (
            400,
            b' { "code" : "invalid", "message" : "unable to parse \'x\': missing fields\\nunable',
            "point_rejected",
            "missing fields",
        ),
        (400, b'{"error":"partial write: field type conflict: inp', "field_type_conflict", "inp"),
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
        # JSON of a gateway, not InfluxDB's
        (400, b'{"message":"Bad request"}', "INFLUXDB_URL"),
        (422, b'{"code":"invalid"}', "INFLUXDB_URL"),
        # 400 about the address, not about points
        (400, v2("invalid precision; valid precision units are ns, us, ms, and s"), "precision"),
        (400, v2("Please provide either orgID or org"), "INFLUXDB_ORG"),
        (400, v2("org name or ID is required"), "INFLUXDB_ORG"),
        (400, b'{"error":"database is required"}', "INFLUXDB_BUCKET"),
        (400, b'{"error":"db name did not start with a number or letter"}', "INFLUXDB_BUCKET"),
        (422, b"{}", "INFLUXDB_URL"),
        (401, v2("unauthorized access"), "INFLUXDB_TOKEN"),
        (401, b'{"error":"authorization failed"}', "INFLUXDB_TOKEN"),
        (401, b"<html>", "INFLUXDB_TOKEN"),
        (403, v2("insufficient permissions for write"), "INFLUXDB_BUCKET"),
        (404, v2("organization name x not found"), "INFLUXDB_ORG"),
        (404, v2("bucket x not found"), "INFLUXDB_BUCKET"),
        (404, b'{"error":"database not found: x"}', "INFLUXDB_BUCKET"),
        (404, b'{"error":"no dbrp mapping found"}', "INFLUXDB_BUCKET"),
        (404, v2("no dbrp mapping found"), "influx v1 dbrp create --db events "),
        (404, b"404 page not found\n", "INFLUXDB_URL"),
        (200, b"<html>", "INFLUXDB_URL"),
        (201, b"", "INFLUXDB_URL"),
        (204, b"", "INFLUXDB_URL"),
        (302, b"", "INFLUXDB_URL"),
        (405, b"", "INFLUXDB_URL"),
        (406, b"", "INFLUXDB_URL"),
        (407, b"", "INFLUXDB_URL"),
        (415, b"", "INFLUXDB_URL"),
        (418, b"", "INFLUXDB_URL"),
        (408, b"", "try again"),
        (429, b"", "try again"),
        (499, b"", "try again"),
        (500, v2("timeout"), "timeout"),
        (503, b"\xff\xfe", "try again"),
        (503, v2("the write queue is full"), "try again"),
        (524, b"", "try again"),
        # the words of InfluxDB 2.7.12 and 2.9.1 in trouble
        (500, v2("engine: error writing WAL entry: no space left on device"), "restart it"),
        (500, v2("[shard 3] open /data: too many open files"), "restart it"),
        (500, v2("opening shard previously failed with: disk quota"), "restart it"),
        (500, v2("write /data: input/output error"), "try again"),
        (500, v2("open /data: permission denied"), "try again"),
        (500, v2("mmap: cannot allocate memory"), "try again"),
        (500, v2("shard is disabled"), "try again"),
    ],
)
def test_everything_else_waits_and_says_what_to_change(status, body, said):
    """Nothing that may be the connection's or the settings' fault rejects a point."""
    error = error_of(Answer(status, body), TARGET, NOW)
    assert isinstance(error, SinkUnavailable)
    assert not isinstance(error, WriteFailed)
    assert said in str(error)
    assert str(status) in str(error)
    assert TARGET.url in str(error)
    assert error.retry_after is None


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (408, b""),
        (504, b"<html>"),
        (500, v2("unexpected error writing points to database: timeout")),
        (500, b'{"error":"Timeout"}'),
    ],
)
def test_what_took_too_long_may_be_tried_with_less(status, body):
    """A time that ran out is told apart from every other reason to wait."""
    assert type(error_of(Answer(status, body), TARGET, NOW)) is SinkTooSlow
    assert type(error_of(Answer(503, body), TARGET, NOW)) is SinkUnavailable


def test_a_long_message_is_cut():
    """InfluxDB repeats every bad line in its message; a dead letter holds the start of it."""
    error = error_of(Answer(400, v2("x" * 100_000)), TARGET, NOW)
    assert len(str(error)) == 2000


@pytest.mark.parametrize(
    ("status", "words", "may_be_the_points"),
    [
        (500, v2("An internal error has occurred - check server logs"), True),
        (500, v2("unexpected error writing points to database: panic"), True),
        (500, b"", True),
        (500, b"<html>", True),
        (500, v2("unexpected error writing points to database: timeout"), False),
        (500, v2("engine: cache-max-memory-size exceeded: (1/1)"), False),
        (500, v2("write /wal/_00001.wal: no space left on device"), False),
        (500, b'{"error":"engine is closed"}', False),
        (502, b"", False),
        (503, v2("x"), False),
        (429, v2("x"), False),
    ],
)
def test_only_a_500_without_an_excuse_may_be_the_points_fault(status, words, may_be_the_points):
    """InfluxDB in trouble says so; any other 500 may be what it was given to write."""
    error = error_of(Answer(status, words), TARGET, NOW)
    assert isinstance(error, SinkUnavailable)
    assert isinstance(error, WriteFailed) == may_be_the_points


@pytest.mark.parametrize(
    ("status", "length", "is_written"),
    [
        (204, None, True),
        (204, "0", True),
        (204, " 0", True),
        (204, "17", False),
        (204, "junk", False),
        (200, "0", False),
        (201, None, False),
        (100, None, False),
    ],
)
def test_204_without_a_body_alone_is_success(status, length, is_written):
    """Every other answer, also a 204 that announces a page, does not say that points stand."""
    assert Answer(status, length=length).is_written == is_written


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
        ("1e9", None),
        ("1000000000", MAX_RETRY_AFTER_S),
        ("120", 120.0),
        ("9" * 400, MAX_RETRY_AFTER_S),
        ("Mon, 32 Foo", None),
        (",", None),
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


BODIES = (
    v2(CONFLICT.replace('"', "'")), v2(RETENTION), v2("unable to parse 'x': missing fields"),
    v2("unauthorized access", "unauthorized"), v2('bucket "x" not found', "not found"),
    b'{"error":"partial write: field type conflict dropped=1"}', b'{"error":"timeout"}',
    b'{"error":"partial write of line protocol occurred","data":[{"error_message":"invalid c"}]}',
    b"<html><h1>502 Bad Gateway</h1></html>",
    b"404 page not found\n", b"", gzip.compress(v2("x")), b"[" * 5000, b'{"data":' * 3000,
)  # fmt: skip
STATUSES = (100, 200, 201, 202, 301, 302, 400, 401, 403, 404, 405, 406, 408, 413, 415, 422, 429,
            499, 500, 502, 503, 504, 511, 599)  # fmt: skip
HEADERS = (
    None, "", "0", "1", "120", "-1", "1e9", "1000000000", "junk", "1.5", "Infinity", "NaN", "\x00",
    format_datetime(NOW + timedelta(seconds=9), usegmt=True), "Sun, 06 Nov 1994 08:49:37 GMT",
    "Fri, 31 Dec 9999 23:59:59 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994",
)  # fmt: skip


def mutated(random, body):
    """Cut, repeat, flip or insert some bytes."""
    for _ in range(random.randrange(4)):
        at, end = sorted(random.choices(range(len(body) + 1), k=2))
        kind = random.randrange(4)
        if kind == 0:
            body = body[:at]
        elif kind == 1:
            body = (body[:end] + body[at:])[:20_000]
        elif kind == 2:
            body = body[:at] + bytes([random.randrange(256)]) + body[at + 1 :]
        else:
            body = body[:at] + random.choice(BODIES)[:200] + body[at:]
    return body


def test_no_mutated_answer_is_misread(record_property):
    """20,000 answers mutated from real ones: each is one of our errors, none is a success."""
    seed, tried, kinds = 20261121, 20_000, Counter()
    random = Random(seed)  # noqa: S311 - the same on every run
    for number in range(tried):
        header = random.choice(HEADERS)
        if header and not random.randrange(3):
            header = mutated(random, header.encode()).decode("latin-1")
        status = random.choice(STATUSES) if random.randrange(9) else random.randrange(100, 1000)
        answer = Answer(status, mutated(random, random.choice(BODIES)), header, length=header)
        error = error_of(answer, TARGET, NOW)
        where = f"seed {seed}, number {number}: {answer}"
        assert type(error) in {SinkUnavailable, SinkTooSlow, WriteFailed, PointRejected}, where
        assert answer.is_written <= (status == 204), where
        assert len(str(error)) < 2500, where
        if isinstance(error, SinkUnavailable):
            assert error.retry_after is None or 0 <= error.retry_after <= MAX_RETRY_AFTER_S, where
        else:
            assert status in {400, 413, 422}, where
        kinds[type(error).__name__] += 1
    record_property("answers_tried", tried)
    print(f"answers tried: {tried}, seed {seed}, {dict(kinds)}")  # noqa: T201 - a figure to publish
    assert min(kinds.values()) > 100, kinds

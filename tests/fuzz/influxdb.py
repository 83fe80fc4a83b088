"""Answers of InfluxDB, broken: to writes and to queries."""

import json
import random
from datetime import UTC, datetime
from typing import Final

from common.errors import PointRejected, SinkUnavailable
from common.sink.answers import Answer, Target, error_of
from common.sink.influxql import stored_events
from tests.fuzz.mutation import Mutator
from tests.fuzz.report import Report, in_time
from tests.fuzz.through import bury

_TARGET: Final = Target("http://influxdb:8086", "home", "bucket")
_NOW: Final = datetime(2026, 11, 20, tzinfo=UTC)
_STATUSES: Final = (
    *(100, 200, 201, 204, 301, 304, 400, 401, 403, 404, 408, 413, 415, 422, 429, 499, 500),
    *(502, 503, 504, 520, 599, 0, -1, 999),
)
_CONFLICT: Final = (
    "failure writing points to database: partial write: field type conflict: input field"
    ' "value" is type float dropped=1'
)
_BODIES: Final = (
    json.dumps({"code": "invalid", "message": "unable to parse 'x': missing fields"}).encode(),
    json.dumps({"code": "unprocessable entity", "message": _CONFLICT}).encode(),
    json.dumps({"error": "partial write: points beyond retention policy dropped=2"}).encode(),
    json.dumps(
        {
            "error": "partial write of line protocol occurred",
            "data": [{"original_line": "a b=1", "error_message": "invalid column type for b"}],
        }
    ).encode(),
    b'{"code":"unauthorized","message":"unauthorized access"}',
    b"<html><body>502 Bad Gateway</body></html>",
    b"404 page not found\n",
    b"",
)
_AFTER: Final = (b"1", b"0.5", b"-1", b"Fri, 20 Nov 2026 00:00:30 GMT", b"", b"9" * 5000, b"soon")
_COLUMNS: Final = ("time", "value", "state", "available", "entity_id", "area", "unit", "data")
_REPLY: Final = json.dumps(
    {
        "results": [
            {
                "statement_id": 0,
                "series": [
                    {
                        "name": "sensor",
                        "columns": _COLUMNS,
                        "values": [
                            [1795189957435789, 21.4, "21.4", True, "sensor.a", "A", "°C", None],
                            ["2026-11-20T15:44:33Z", None, "x", None, "sensor.b", None, None, "{}"],
                        ],
                    }
                ],
            }
        ]
    }
).encode()


async def tries(seed: int, count: int) -> Report:
    """Ask what so many answers mean."""
    dice = random.Random(seed)  # noqa: S311 - chance that can be repeated
    mutator = Mutator(dice)
    report = Report()
    for _ in range(count):
        if dice.random() < 0.3:
            reply = mutator.broken(_REPLY)
            with report.trying(reply), in_time():
                _query(reply, dice, report)
            continue
        answer = Answer(
            dice.choice(_STATUSES),
            mutator.broken(dice.choice(_BODIES)),
            mutator.broken(dice.choice(_AFTER)).decode("latin-1")[:9000],
        )
        with report.trying(answer), in_time():
            _write(answer, report)
    return report


def _write(answer: Answer, report: Report) -> None:
    error = error_of(answer, _TARGET, _NOW)
    if isinstance(error, PointRejected):
        assert answer.status in {400, 413, 422}, "points are blamed for an outage"
        assert answer.status == 413 or b"<html" not in answer.body[:5], "a page is no refusal"
        report.end(bury([], error))
        return
    assert isinstance(error, SinkUnavailable)
    assert error.retry_after is None or 0.0 <= error.retry_after <= 300.0
    report.end("the sink is away: wait")


def _query(reply: bytes, dice: random.Random, report: Report) -> None:
    schema = dice.choice(("clean", "ha"))
    try:
        found = stored_events(schema, reply, 10, newest_first=dice.random() < 0.5)
    except SinkUnavailable:
        report.end("no answer to a query")
    else:
        assert len(found) <= 10
        report.end("answer to a query")

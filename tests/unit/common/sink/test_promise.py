"""What every sink promises."""

import inspect

import msgspec
import pytest

from common.sink.influx import InfluxSink
from common.sink.promise import Sink, StoredEvent
from common.sink.sqlite import SqliteSink


@pytest.mark.parametrize("sink", [InfluxSink, SqliteSink])
@pytest.mark.parametrize("name", ["check", "point", "write", "events", "history", "close"])
def test_each_sink_can_be_asked_the_same(sink, name):
    """Every method of the promise is there, with the same parameters and defaults."""
    promised = inspect.signature(getattr(Sink, name))
    kept = inspect.signature(getattr(sink, name))
    assert [(p.name, p.kind, p.default) for p in promised.parameters.values()] == [
        (p.name, p.kind, p.default) for p in kept.parameters.values()
    ]
    assert inspect.iscoroutinefunction(getattr(sink, name)) == (name != "point")


def test_what_is_unknown_of_a_stored_event_is_absent_in_json():
    """A key without a value is not written, as in an enriched event."""
    event = StoredEvent(time="2026-11-20T10:00:00.000000+00:00", measurement="sensor", value=0.0)
    assert msgspec.json.decode(msgspec.json.encode(event)) == {
        "time": "2026-11-20T10:00:00.000000+00:00",
        "measurement": "sensor",
        "value": 0.0,
    }

"""The room `store` with the sink that is InfluxDB, against a fake that refuses in many ways."""

import asyncio
import itertools
from datetime import timedelta
from math import ceil, log2
from unittest.mock import patch

import pytest

from common.event import parse_time
from common.sink.influx import InfluxSink
from store.portions import Portions
from store.suspicion import TRIES
from store.worker import write
from tests.fakes.enriched import state_change
from tests.fakes.influxdb import FakeInfluxDB
from tests.fakes.until import until

pytestmark = pytest.mark.integration

START = parse_time("2026-11-20T10:00:00.000001+00:00")


class Heard:
    """Hears what becomes of the sink."""

    def __init__(self):
        self.errors = []

    def dependency(self, _, error):
        self.errors.append(error and str(error))


@pytest.fixture(autouse=True)
def short_waits():
    """Waits between tries are a hundredth of what they are."""
    with patch("common.lifecycle.delays", lambda _: itertools.repeat(0.01)):
        yield


@pytest.fixture(params=[1, 2, 3])
async def influxdb(request):
    async with FakeInfluxDB(version=request.param) as server:
        yield server


@pytest.fixture
async def sink(influxdb, tmp_path):
    file = tmp_path / "token"
    file.write_text(influxdb.token)
    made = InfluxSink(
        influxdb.url, token=influxdb.token, token_file=file, org="home", bucket="home_assistant"
    )
    yield made
    await made.close()


def points_of(sink, count, state="{}"):
    return [
        sink.point(
            state_change("sensor.s", state.format(n), (START + timedelta(seconds=n)).isoformat())
        )
        for n in range(count)
    ]


async def store(points, sink, heard=None):
    return await write(points, sink, heard or Heard(), asyncio.Event(), Portions())


def standing(influxdb):
    """Times of the points that stand, but for the proof's."""
    return {
        line.time // 1000 for line in influxdb.kept.lines() if line.measurement != "habus_canary"
    }


def times_of(points):
    return {int(point.rsplit(b" ", 1)[1]) for point in points}


CONFLICTING = b'sensor,area=none,entity_id=sensor.s value="text" %d'


@pytest.mark.parametrize("bad", [0, 2500, 4999])
async def test_one_bad_point_of_5000_costs_one_letter_and_few_requests(influxdb, sink, bad):
    """A type conflict costs the point in conflict, in InfluxDB's words, and at most 26 requests."""
    points = points_of(sink, 5000)
    await sink.write(points[:1])
    points[bad] = CONFLICTING % (10**15)
    before = len(influxdb.requests)
    refused = await store(points, sink)
    assert list(refused) == [bad]
    assert refused[bad].reason == "field_type_conflict"
    assert "float" in str(refused[bad])
    assert len(influxdb.requests) - before <= 1 + 2 * ceil(log2(5000)) == 1 + 26
    assert times_of(points[:bad] + points[bad + 1 :]) <= standing(influxdb)
    assert 10**15 not in standing(influxdb)


async def test_when_all_are_bad_each_is_refused_and_no_more_than_2n_requests_are_made(
    influxdb, sink
):
    """A thousand bad points are a thousand refusals, and the next batch is written."""
    await sink.write(points_of(sink, 1))
    before = len(influxdb.requests)
    refused = await store([CONFLICTING % n for n in range(1000)], sink)
    assert len(refused) == 1000
    assert len(influxdb.requests) - before <= 2 * 1000
    assert await store(points_of(sink, 10), sink) == {}
    assert len(standing(influxdb)) == 10


async def test_a_line_that_cannot_be_read_costs_itself(influxdb, sink):
    """Where InfluxDB refuses the whole batch for one line, 999 stand in the end."""
    points = points_of(sink, 1000)
    points[7] = b"sensor,entity_id=x 1"
    refused = await store(points, sink)
    assert list(refused) == [7]
    assert refused[7].reason == "point_rejected"
    assert len(standing(influxdb)) == 999


async def test_what_is_too_old_is_refused_alone():
    """Points beyond the bucket's retention are refused as such; the others stand."""
    async with FakeInfluxDB(retention_s=3600) as influxdb:
        sink = InfluxSink(influxdb.url, token="token", org="home", bucket="home_assistant")
        points = [b"sensor,entity_id=x value=1.0 1", b"sensor,entity_id=x value=1.0"]
        refused = await store(points, sink)
        await sink.close()
    assert {n: error.reason for n, error in refused.items()} == {0: "outside_retention"}


async def test_a_limit_on_the_body_splits_and_refuses_only_what_alone_is_too_large(influxdb, sink):
    """413 halves the batch until it fits; a point that is too large alone is refused."""
    influxdb.take_at_most(10_000)
    points = [*points_of(sink, 500), *points_of(sink, 1, "x" * 20_000)]
    refused = await store(points, sink)
    assert {n: error.reason for n, error in refused.items()} == {500: "too_large"}
    assert len(standing(influxdb)) == 500


async def test_a_point_at_which_influxdb_fails_is_refused_alone(influxdb, sink):
    """A 500 for one point again and again, while others are taken, costs that point."""
    influxdb.fail_at("poison")
    points = points_of(sink, 1000)
    points[421] = points_of(sink, 422, "poison {}")[421]
    refused = await store(points, sink)
    assert list(refused) == [421]
    assert refused[421].reason == "point_rejected"
    assert "it makes me ill" in str(refused[421])
    assert len(standing(influxdb)) == 999
    proofs = sum(request.body.startswith(b"habus_canary") for request in influxdb.requests)
    assert len(influxdb.requests) - proofs <= TRIES + 2 * ceil(log2(1000)) + TRIES


async def test_a_shard_that_is_broken_alone_is_waited_out(influxdb, sink):
    """A 500 for old points only is InfluxDB's fault where a point of ours at their time fails."""
    points = points_of(sink, 20)
    old = points[13].rpartition(b" ")[2].decode()
    influxdb.fail_at(old)
    heard = Heard()
    writing = asyncio.create_task(store(points, sink, heard))
    await until(lambda: len(heard.errors) > 3 * TRIES or writing.done(), within_s=20)
    assert not writing.done()
    assert "it makes me ill" in heard.errors[-1]
    influxdb.behave()
    assert await asyncio.wait_for(writing, 20) == {}
    assert standing(influxdb) >= times_of(points)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda influxdb: influxdb.status(500),
        lambda influxdb: influxdb.status(500, body=b"<html>"),
        lambda influxdb: influxdb.status(503, retry_after="0"),
        lambda influxdb: influxdb.status(429, retry_after="junk"),
        lambda influxdb: influxdb.html(),
        lambda influxdb: setattr(influxdb, "bucket", "deleted"),
        lambda influxdb: setattr(influxdb, "token", "new"),
        lambda influxdb: influxdb.half_written_then_500(),
        lambda influxdb: influxdb.reset_in_body(),
        lambda influxdb: influxdb.reset_in_reply(),
    ],
)
async def test_whatever_passes_is_waited_out_and_nothing_is_refused(
    influxdb, sink, tmp_path, spoil
):
    """Outages, a bucket deleted and made again, a token changed in place: all stands in the end."""
    points = points_of(sink, 50)
    await sink.write(points[:1])
    bucket = influxdb.bucket
    spoil(influxdb)
    heard = Heard()
    writing = asyncio.create_task(store(points, sink, heard))
    await until(lambda: len(heard.errors) > 2 * TRIES or writing.done(), within_s=20)
    if influxdb.version == 3 and influxdb.bucket != bucket:  # it makes buckets by itself
        assert await writing == {}
        return
    assert not writing.done()
    influxdb.behave()
    influxdb.bucket = bucket
    (tmp_path / "token").write_text(influxdb.token)
    assert await asyncio.wait_for(writing, 20) == {}
    assert heard.errors[-1] is None
    assert standing(influxdb) == times_of(points)


async def test_requests_are_few_while_influxdb_asks_for_patience():
    """A storm of 429 is answered by waiting, not by more requests."""
    with patch("common.lifecycle.delays", lambda _: itertools.repeat(0.2)):
        async with FakeInfluxDB() as influxdb:
            sink = InfluxSink(influxdb.url, token="token", org="home", bucket="home_assistant")
            influxdb.status(429, retry_after="-1", for_s=1.0)
            assert await store(points_of(sink, 5), sink) == {}
            assert influxdb.statuses[429] <= 6
            await sink.close()

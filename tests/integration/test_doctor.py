"""What the doctor says of a real neighbour."""

import time

import pytest

from admin.config import Settings
from admin.doctor import Home, findings
from common.bus import INGEST, STORE, connect
from common.errors import HomeAssistantUnavailable, SinkUnavailable
from common.event import microseconds, time_of
from common.heartbeat import Heartbeat
from common.ledger import reconcile
from common.sink.influx import InfluxSink
from tests.fakes.influxdb import FakeInfluxDB
from tests.fakes.servers import free_port

pytestmark = pytest.mark.integration


async def of_sink(folder, influxdb, **changes):
    """Verdict and text of each finding about the sink."""
    settings = Settings(
        influxdb_url=influxdb.url,
        **{
            "redis_url": f"redis://127.0.0.1:{free_port()}/0",
            "influxdb_token": "token",
            **changes,
        },
    )
    home = Home(f"ws://127.0.0.1:{free_port()}/api/websocket")
    found = [one async for one in findings(settings, home, folder)]
    return [(one.verdict, one.text) for one in found if one.about == "sink"]


async def test_a_token_that_may_only_write_is_not_enough(tmp_path):
    """Admin reads what store wrote: a sink that takes points and does not show them is wrong."""
    async with FakeInfluxDB() as influxdb:
        [(verdict, _)] = await of_sink(tmp_path, influxdb)
        assert verdict == "fine"
        influxdb.may_read = False
        [_, (verdict, text)] = await of_sink(tmp_path, influxdb)
    assert verdict == "wrong"
    assert "give INFLUXDB_TOKEN the right to read and write INFLUXDB_BUCKET" in text


async def test_a_bucket_that_shows_something_else_is_said(tmp_path, redis_url):
    """What store has written lately, but nobody finds where admin reads, is a warning."""
    now_us = time.time_ns() // 1000
    times = [time_of(now_us - seconds * 1_000_000) for seconds in (3, 2, 1)]
    async with connect(redis_url) as bus, FakeInfluxDB() as influxdb:

        async def verdicts():
            return [
                verdict for verdict, _ in await of_sink(tmp_path, influxdb, redis_url=redis_url)
            ]

        key = bus.keys.enriched
        await bus.command("XGROUP", "CREATE", key, STORE, "0", "MKSTREAM")
        for text in ("no time", "9999-12-31T23:59:59.999999+00:00", *times):
            await bus.command("XADD", key, "*", "v", "1", "time", text)
        assert await verdicts() == ["fine"]
        await bus.command("XREADGROUP", "GROUP", STORE, "me", "STREAMS", key, ">")
        assert await verdicts() == ["fine"]
        ids = [entry_id for entry_id, _ in await bus.command("XRANGE", key, "-", "+")]
        await bus.command("XACK", key, STORE, *ids)
        assert await verdicts() == ["fine", "warning"]
        sink = InfluxSink(influxdb.url, token="token", org="home", bucket="home_assistant")
        await sink.write([b"sensor,entity_id=s available=true %d" % microseconds(times[1])])
        await sink.close()
        assert await verdicts() == ["fine"]


async def test_what_store_says_of_the_sink_is_said(tmp_path, redis_url):
    """A sink that takes the doctor's write, but not those of store, is wrong."""
    settings = Settings(
        redis_url=redis_url, store_sink="sqlite", store_sqlite_path=tmp_path / "events.db"
    )
    home = Home(f"ws://127.0.0.1:{free_port()}/api/websocket")
    async with connect(redis_url) as bus:
        heartbeat = Heartbeat(bus, STORE, "attic")
        for state, said in ((None, []), (SinkUnavailable("a shard is broken"), ["wrong"])):
            heartbeat.dependency("sink", state)
            await heartbeat.beat()
            found = [one async for one in findings(settings, home, tmp_path)]
            about = [one for one in found if one.about == "sink" and "attic" in one.text]
            assert [one.verdict for one in about] == said
    assert about[0].text == "attic says: down: a shard is broken"


@pytest.mark.parametrize(
    ("name", "wrong"),
    [("influxdb_token", "x"), ("influxdb_org", "nowhere"), ("influxdb_bucket", "leaking")],
)
async def test_the_setting_that_influxdb_refuses_is_named(tmp_path, name, wrong):
    """Token, organisation, bucket: one line, and it says which variable to set."""
    async with FakeInfluxDB() as influxdb:
        [(verdict, text)] = await of_sink(tmp_path, influxdb, **{name: wrong})
    assert verdict == "wrong"
    assert name.upper() in text


async def test_a_key_of_a_wrong_type_is_named(tmp_path, redis_url):
    """All waits while somebody's own value stands at a key of ours; the doctor says which."""
    kinds = ("raw", "dead", "ledger", "backfill", "replays", "replays_running")
    for name in kinds:
        async with connect(redis_url) as bus:
            key = getattr(bus.keys, name)
            await bus.command("SET", key, "mine")
            [wrong] = [text for verdict, text in await of_redis(tmp_path, redis_url) if key in text]
            assert f"{key} holds a string" in wrong
            assert f"DEL {key}" in wrong
            await bus.command("DEL", key)


async def test_what_the_ledger_missed_is_said(tmp_path, redis_url):
    """Who meddles with the streams hears of it from the doctor, too, for a day."""
    async with connect(redis_url) as bus:
        fine = ("fine", "every event is accounted for")
        assert fine in await of_redis(tmp_path, redis_url)
        await bus.command("XADD", bus.keys.inbox, "*", "v", "1")
        found = await of_redis(tmp_path, redis_url)
        assert ("wrong", "-1 events are unaccounted for") in found
        await reconcile(bus)
        verdict, text = (await of_redis(tmp_path, redis_url))[-1]
        assert verdict == "warning"
        assert "the ledger was corrected at" in text
        assert "1 redelivered" in text


async def of_redis(folder, redis_url):
    """Verdict and text of each finding about Redis and what stands in it."""
    settings = Settings(
        redis_url=redis_url, store_sink="sqlite", store_sqlite_path=folder / "events.db"
    )
    home = Home(f"ws://127.0.0.1:{free_port()}/api/websocket")
    found = [one async for one in findings(settings, home, folder)]
    return [(one.verdict, one.text) for one in found if one.about in {"redis", "ledger"}]


async def test_without_a_token_ingest_is_heard(tmp_path, redis_url):
    """Where no token is set, as in the container of admin, the heartbeat tells of the home."""
    settings = Settings(
        redis_url=redis_url, store_sink="sqlite", store_sqlite_path=tmp_path / "events.db"
    )
    home = Home(f"ws://127.0.0.1:{free_port()}/api/websocket")

    async def of_home():
        found = [one async for one in findings(settings, home, tmp_path)]
        [about_it] = [one for one in found if one.about == "home_assistant"]
        return about_it.verdict, about_it.text

    assert await of_home() == ("warning", "HA_ACCESS_TOKEN is not set here")
    async with connect(redis_url) as bus:
        heartbeat = Heartbeat(bus, INGEST, "attic")
        await heartbeat.beat()
        assert (await of_home())[0] == "warning"
        heartbeat.dependency("home_assistant", None)
        await heartbeat.beat()
        assert await of_home() == ("fine", "ingest is connected to it")
        heartbeat.dependency("home_assistant", HomeAssistantUnavailable("nobody there"))
        await heartbeat.beat()
        assert await of_home() == ("wrong", "ingest says: down: nobody there")

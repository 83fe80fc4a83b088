"""The sink that is InfluxDB, against a fake that misbehaves and against Debian's InfluxDB 1.6."""

import asyncio
import gzip
import re
import threading
import tracemalloc
from datetime import UTC, datetime, timedelta

import pytest

from common.errors import PointRejected, SinkUnavailable
from common.event import parse_time
from common.sink.influx import InfluxSink
from store.portions import Portions
from store.worker import write
from tests.fakes.enriched import of_home_assistant, other, state_change
from tests.fakes.influxdb import FakeInfluxDB
from tests.fakes.influxdb_server import InfluxDBServer
from tests.fakes.recordings import events
from tests.fakes.servers import free_port
from tests.fakes.until import until

pytestmark = pytest.mark.integration

TOKEN = "s3cret-t0ken"
START = datetime(2026, 11, 20, tzinfo=UTC)
END = datetime(2026, 11, 21, tzinfo=UTC)


@pytest.fixture(params=[1, 2, 3])
async def version(request):
    return request.param


@pytest.fixture
async def influxdb():
    async with FakeInfluxDB(token=TOKEN) as server:
        yield server


class FakeHeartbeat:
    """Hears nothing of interest."""

    def dependency(self, name, error):
        raise AssertionError(f"{name}: {error}")


def sink_of(server, **changes):
    settings = {"token": TOKEN, "org": "home", "bucket": "home_assistant", "timeout_s": 5.0}
    return InfluxSink(changes.pop("url", server.url if server else ""), **{**settings, **changes})


@pytest.fixture
async def sink(influxdb):
    made = sink_of(influxdb)
    yield made
    await made.close()


def lines_of(sink, count, **facts):
    start = parse_time("2026-11-20T10:00:00.000001+00:00")
    return [
        sink.point(
            state_change(
                f"sensor.s{n % 7}",
                str(n),
                (start + timedelta(seconds=n)).isoformat(),
                **facts,
            )
        )
        for n in range(count)
    ]


async def test_what_is_written_stands_once_however_often_it_is_written(influxdb, sink):
    """Writing the same batch twice leaves each point standing once."""
    lines = lines_of(sink, 100)
    await sink.write(lines)
    await sink.write(lines)
    assert influxdb.counts()["points"] == 100
    assert influxdb.counts()["doubles"] == 100


async def test_a_write_of_nothing_sends_nothing(influxdb, sink):
    """No request is made for no points, nor for events of which schema `ha` writes none."""
    await sink.write([])
    await sink.write([b"", b""])
    assert influxdb.requests == []


async def test_bytes_go_as_they_are_in_microseconds(influxdb, sink):
    """The body is our lines joined by line feeds, with precision, bucket and organisation."""
    lines = lines_of(sink, 3)
    await sink.write(lines)
    (request,) = influxdb.requests
    assert request.body == b"\n".join(lines)
    assert request.query == {"org": "home", "bucket": "home_assistant", "precision": "us"}
    assert request.headers["authorization"] == f"Token {TOKEN}"


async def test_check_says_what_it_is_and_where_it_writes(version):
    """Each major version passes the check, and the line about it names version and bucket."""
    async with FakeInfluxDB(version=version, token=TOKEN) as server:
        sink = sink_of(server)
        said = await sink.check()
        await sink.close()
    assert server.kept.points == {}
    assert said.startswith("InfluxDB ")
    assert "home_assistant" in said
    assert server.url in said


@pytest.mark.parametrize(
    ("changes", "variable"),
    [
        ({"token": "another"}, "INFLUXDB_TOKEN"),
        ({"token": ""}, "INFLUXDB_TOKEN"),
        ({"token": "line\nfeed"}, "INFLUXDB_TOKEN"),
        ({"token": "schlüssel€"}, "INFLUXDB_TOKEN"),
        ({"bucket": "nowhere"}, "INFLUXDB_BUCKET"),
        ({"org": "nobody"}, "INFLUXDB_ORG"),
    ],
)
async def test_check_names_the_variable_to_change(influxdb, changes, variable):
    """A wrong token, bucket or organisation is told apart, and no message holds the token."""
    sink = sink_of(influxdb, **changes)
    with pytest.raises(SinkUnavailable) as caught:
        await sink.check()
    await sink.close()
    assert variable in str(caught.value)
    if changes.get("token"):
        assert changes["token"] not in repr(caught.value)
        assert caught.value.__cause__ is None


async def test_a_token_that_the_server_repeats_is_not_repeated_by_us(influxdb, sink):
    """The token is taken out of the server's own words."""
    influxdb.status(400, message=f"bad token {TOKEN} here")
    with pytest.raises(PointRejected) as caught:
        await sink.write(lines_of(sink, 1))
    assert TOKEN not in str(caught.value)
    assert "bad token *** here" in str(caught.value)


async def test_what_was_stored_comes_back_though_it_holds_the_token(influxdb, sink):
    """A state that holds the same letters as the token is no secret, and is not changed."""
    when = "2026-11-20T10:00:00.000001+00:00"
    await sink.write([sink.point(state_change("sensor.s", f"a {TOKEN} b", when))])
    [event] = await sink.events(START, END)
    assert event.state == f"a {TOKEN} b"
    refusal = b'{"results":[{"error":"' + TOKEN.encode() + b' may not read"}]}'
    influxdb.status(200, body=refusal)
    with pytest.raises(SinkUnavailable, match=r"\*\*\* may not read"):
        await sink.events(START, END)


@pytest.mark.parametrize(
    ("url", "word"),
    [
        ("http://no-such-host.invalid:8086", "name"),
        ("http://127.0.0.1:{port}", "nothing listens"),
        ("https://127.0.0.1:{fake}", "TLS"),
    ],
)
async def test_an_address_that_is_no_influxdb_is_said_plainly(influxdb, url, word):
    """No DNS name, no listener and no TLS are each a sentence with the address in it."""
    url = url.format(port=free_port(), fake=influxdb.port)
    sink = sink_of(influxdb, url=url)
    with pytest.raises(SinkUnavailable) as caught:
        await sink.check()
    await sink.close()
    assert word in str(caught.value)
    assert url in str(caught.value)
    assert not re.search(r"object at 0x|\w\(.*=", str(caught.value)), "how the library calls it"


@pytest.mark.parametrize(
    "status", [408, 429, 499, 500, 502, 503, 504, 301, 302, 307, 200, 201, 202]
)
async def test_only_204_is_success(influxdb, sink, status):
    """Any other status that does not speak of points means: write the same again later."""
    influxdb.status(status, times=1)
    with pytest.raises(SinkUnavailable):
        await sink.write(lines_of(sink, 2))
    await sink.write(lines_of(sink, 2))
    assert influxdb.counts()["points"] == 2


async def test_a_web_page_or_a_redirect_is_no_success(influxdb, sink):
    """HTML with 200, which is not even UTF-8, and a redirect that would end in 204, are refused."""
    influxdb.html()
    with pytest.raises(SinkUnavailable, match="INFLUXDB_URL"):
        await sink.write(lines_of(sink, 1))
    influxdb.redirect()
    with pytest.raises(SinkUnavailable, match="302"):
        await sink.write(lines_of(sink, 1))
    assert all(request.path == "/api/v2/write" for request in influxdb.requests)


WEB_PAGE = b"<html>" + b"\xfcber " * 300 + b"</html>"


def reply(status, body=b"", *headers):
    """An HTTP answer as bytes."""
    length = b"Content-Length: %d" % len(body)
    return b"\r\n".join([b"HTTP/1.1 " + status, length, *headers, b"", b""]) + body


@pytest.mark.parametrize(
    ("said", "kind", "words"),
    [
        (reply(b"204 No Content", WEB_PAGE), SinkUnavailable, "204"),
        (reply(b"200 OK", WEB_PAGE), SinkUnavailable, "INFLUXDB_URL"),
        (
            reply(b"200 OK", gzip.compress(WEB_PAGE), b"Content-Encoding: gzip"),
            SinkUnavailable,
            "INFLUXDB_URL",
        ),
        (reply(b"503 Busy", WEB_PAGE, b"Retry-After: 9"), SinkUnavailable, "503"),
        (reply(b"413 Too large", WEB_PAGE), PointRejected, "too large"),
        (reply(b"400 Bad Request", WEB_PAGE), SinkUnavailable, "INFLUXDB_URL"),
        (reply(b"200 OK", b"junk", b"Content-Encoding: gzip"), SinkUnavailable, "connection"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nshort", SinkUnavailable, "connection"),
        (b"HTTP/1.1 xyz\r\n\r\n", SinkUnavailable, "connection"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", SinkUnavailable, "connection"),
        (b"\x00\xff\x00", SinkUnavailable, "connection"),
        (b"", SinkUnavailable, "connection"),
    ],
)
async def test_no_stray_answer_counts_as_written_or_loses_its_status(
    influxdb, sink, said, kind, words
):
    """Pages, half answers and other protocols are held; a status counts whatever its body is."""
    influxdb.say(said, times=1)
    with pytest.raises(kind, match=words) as caught:
        await sink.write(lines_of(sink, 1))
    if b"Retry-After" in said:
        assert caught.value.retry_after == 9
    await sink.write(lines_of(sink, 2))
    assert influxdb.counts()["points"] == 2


async def test_an_interim_answer_is_none(influxdb, sink):
    """100 Continue before the real answer is skipped."""
    influxdb.say(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n")
    await sink.write(lines_of(sink, 1))


async def test_of_a_huge_refusal_the_beginning_is_read(influxdb, sink):
    """A refusal of 40 MB is InfluxDB's still, and costs neither memory nor time."""
    body = b'{"code":"invalid","message":"unable to parse \'x\': missing fields' + b"x" * 40_000_000
    influxdb.say(reply(b"400 Bad Request", body), times=1)
    tracemalloc.start()
    with pytest.raises(PointRejected, match="missing fields"):
        await sink.write(lines_of(sink, 1))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100_000_000  # the fake itself holds the answer once or twice
    bomb = reply(b"400 Bad Request", gzip.compress(b"x" * 200_000_000), b"Content-Encoding: gzip")
    influxdb.say(bomb, times=1)
    with pytest.raises(SinkUnavailable):
        await sink.write(lines_of(sink, 1))


async def test_many_writes_take_one_connection(influxdb, sink):
    """Connections are kept: the way to read an answer does not give them up."""
    for n in range(1, 6):
        await sink.write(lines_of(sink, n))
    assert len(influxdb.connections) == 1


async def test_a_token_that_changes_in_its_file_is_taken_without_a_restart(influxdb, tmp_path):
    """After a refusal the file is read again; while it is gone or empty the old token stays."""
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    sink = sink_of(influxdb, token_file=file)
    await sink.write(lines_of(sink, 1))
    influxdb.token = "another-token"
    file.unlink()
    for content in (None, b"", b"\xff", b"another-token\n"):
        if content is not None:
            file.write_bytes(content)
        with pytest.raises(SinkUnavailable, match="INFLUXDB_TOKEN"):
            await sink.write(lines_of(sink, 2))
    await sink.write(lines_of(sink, 2))
    await sink.close()
    assert influxdb.counts()["points"] == 2


async def test_a_proof_is_a_point_that_stands(influxdb, sink):
    """The sink proves itself with one point of its own, and fails where that is refused."""
    await sink.prove([])
    assert [line.measurement for line in influxdb.kept.lines()] == ["habus_canary"]
    for status in (500, 503, 400, 422, 401):
        influxdb.status(status)
        with pytest.raises(SinkUnavailable):
            await sink.prove([])


async def test_a_proof_stands_beside_the_first_of_the_points(influxdb, sink):
    """InfluxDB keeps each week in a file of its own: the proof goes into the one in question."""
    await sink.prove([b"", b"sensor,a=b value=1.0 1764000000000001", b"sensor,a=b value=1.0 7"])
    [proof] = influxdb.kept.lines()
    assert (proof.measurement, proof.time) == ("habus_canary", 1764000000000001_000)


async def test_a_proof_that_is_too_old_is_proof_enough():
    """InfluxDB that looks at a point, and finds it too old, is not in trouble."""
    async with FakeInfluxDB(token=TOKEN, retention_s=3600) as server:
        sink = sink_of(server)
        await sink.prove([b"sensor,a=b value=1.0 1"])
        await sink.close()
        assert server.kept.lines() == []


async def test_a_pause_that_the_server_asks_for_is_handed_on(influxdb, sink):
    """Retry-After reaches whoever waits."""
    influxdb.status(503, retry_after="7")
    with pytest.raises(SinkUnavailable) as caught:
        await sink.write(lines_of(sink, 1))
    assert caught.value.retry_after == 7


async def test_a_type_conflict_rejects_the_batch_in_influxdbs_words(version):
    """Every major version's type conflict is the same reason."""
    async with FakeInfluxDB(version=version, token=TOKEN) as server:
        sink = sink_of(server)
        await sink.write([b"sensor,a=b value=1.0 1"])
        with pytest.raises(PointRejected) as caught:
            await sink.write([b'sensor,a=b value="text" 2', b"sensor,a=b value=2.0 3"])
        await sink.close()
    assert caught.value.reason == "field_type_conflict"
    assert "value" in str(caught.value)


async def test_a_point_that_is_too_old_is_outside_retention():
    """A refusal because of the bucket's retention has a reason of its own."""
    async with FakeInfluxDB(token=TOKEN, retention_s=3600) as server:
        sink = sink_of(server)
        with pytest.raises(PointRejected) as caught:
            await sink.write([b"sensor,a=b value=1.0 1"])
        await sink.close()
    assert caught.value.reason == "outside_retention"


@pytest.mark.parametrize("fault", ["half_written_then_500", "reset_in_body", "reset_in_reply"])
async def test_after_a_failure_the_same_write_makes_everything_stand_once(influxdb, sink, fault):
    """Half a write, and a connection torn before or after it, heal by writing the same again."""
    lines = lines_of(sink, 50)
    getattr(influxdb, fault)(times=1)
    with pytest.raises(SinkUnavailable):
        await sink.write(lines)
    await sink.write(lines)
    assert influxdb.counts()["points"] == 50


async def test_a_server_that_is_away_and_comes_back_is_written_to_again(influxdb, sink):
    """A sink survives the server's absence without being made anew."""
    await sink.write(lines_of(sink, 1))
    await influxdb.away()
    with pytest.raises(SinkUnavailable):
        await sink.write(lines_of(sink, 2))
    await influxdb.back()
    await sink.write(lines_of(sink, 2))
    assert influxdb.counts()["points"] == 2


@pytest.mark.parametrize("fault", ["store_then_time_out", "slow", "drip"])
async def test_a_request_ends_at_its_deadline_however_it_goes_on(influxdb, fault):
    """No answer, a late one, and one that drips byte by byte are given up, and no thread stays."""
    sink = sink_of(influxdb, timeout_s=0.3)
    argument = () if fault == "store_then_time_out" else (0.25,) if fault == "drip" else (30.0,)
    getattr(influxdb, fault)(*argument)
    with pytest.raises(SinkUnavailable, match=r"did not answer within 0\.3 s"):
        await sink.write(lines_of(sink, 1))
    await until(
        lambda: not [t for t in threading.enumerate() if t.name == "sink-request"],
        within_s=5,
        what="the end of the thread, which a dripping answer would keep for half a minute",
    )
    await sink.close()


async def test_a_write_that_is_cancelled_lets_its_thread_go(influxdb, sink):
    """Stopping a worker does not wait for a server that hangs."""
    influxdb.store_then_time_out()
    write = asyncio.create_task(sink.write(lines_of(sink, 1)))
    await until(lambda: influxdb.requests)
    write.cancel()
    with pytest.raises(asyncio.CancelledError):
        await write
    await until(lambda: not [t for t in threading.enumerate() if t.name == "sink-request"])


async def test_what_was_written_is_answered_newest_first_and_by_entity(sink):
    """`events` gives the newest of all measurements, `history` one entity's from the oldest on."""
    written = [
        state_change("sensor.t", "21.50", "2026-11-20T10:00:00.000001+00:00", unit="°C"),
        state_change("light.l", "on", "2026-11-20T10:00:01.000000+00:00", area='Kü\'che "x"'),
        state_change("sensor.t", "unavailable", "2026-11-20T10:00:02.000000+00:00"),
        state_change("sensor.t", None, "2026-11-20T10:00:03.000000+00:00"),
        other("my_event", {"a": 'q"\n'}, "2026-11-20T10:00:04.000000+00:00"),
    ]
    await sink.write([sink.point(event) for event in written])
    found = await sink.events(START, END, limit=4)
    assert [e.time[:19] for e in found] == [f"2026-11-20T10:00:0{n}" for n in (4, 3, 2, 1)]
    assert found[0].event_type == "my_event"
    assert found[0].data == '{"a":"q\\"\\n"}'
    assert found[0].entity_id is None
    assert (found[3].state, found[3].value, found[3].area) == ("on", 1.0, 'Kü\'che "x"')
    history = await sink.history("sensor.t", START, END)
    assert [(e.state, e.value, e.available) for e in history] == [
        ("21.5", 21.5, True),
        ("unavailable", None, False),
        (None, None, False),
    ]
    assert history[0].unit == "°C"
    assert history[0].device_class is None
    assert await sink.events(START, START) == []
    assert await sink.events(START, END, "light.l") == [found[3]]


async def test_no_name_of_an_entity_can_change_a_question(sink):
    """Quotes and backslashes in an entity's name find that entity, and nothing else."""
    nasty = "sensor.x' OR '1'='1"
    await sink.write([sink.point(state_change(name)) for name in ("sensor.a", nasty, 'a"b\\.c')])
    assert [e.entity_id for e in await sink.history(nasty, START, END)] == [nasty]
    assert [e.entity_id for e in await sink.history('a"b\\.c', START, END)] == ['a"b\\.c']


async def test_a_query_that_fails_is_no_fault_of_points(influxdb, sink):
    """An error of a query, in any form, is SinkUnavailable."""
    for disturb in (
        lambda: influxdb.status(400, message="error parsing query"),
        lambda: influxdb.status(200, body=b'{"results":[{"error":"database not found: x"}]}'),
        lambda: influxdb.status(200, body=b"<html>"),
        influxdb.unauthorized,
    ):
        disturb()
        with pytest.raises(SinkUnavailable):
            await sink.events(START, END)


async def test_a_bucket_of_influxdb_1_may_name_its_retention_policy(influxdb):
    """`database/policy` is asked as the database and its retention policy."""
    influxdb.bucket = "base"
    sink = sink_of(influxdb, bucket="base/week")
    await sink.events(START, END)
    await sink.close()
    assert influxdb.requests[-1].query["db"] == "base"
    assert influxdb.requests[-1].query["rp"] == "week"


async def test_schema_ha_is_written_and_read_back(influxdb):
    """In schema `ha` an event comes back with the unit that its measurement carries."""
    sink = sink_of(influxdb, schema="ha")
    facts = {"unit_of_measurement": "°C", "friendly_name": "Kitchen", "device_class": "temperature"}
    events = [state_change("sensor.k", "21.4", attributes=facts), state_change(state="unknown")]
    await sink.write([sink.point(event) for event in events])
    (found,) = await sink.events(START, END)
    assert await sink.history("sensor.k", START, END) == [found]
    await sink.close()
    assert (found.entity_id, found.measurement, found.unit) == ("sensor.k", "°C", "°C")
    assert (found.value, found.state, found.available) == (21.4, "21.4", True)
    assert (found.friendly_name, found.device_class) == ("Kitchen", "temperature")


# Debian's InfluxDB 1.6


@pytest.fixture
async def real(tmp_path):
    async with InfluxDBServer(tmp_path) as server:
        yield server


async def test_a_real_influxdb_keeps_and_answers(real):
    """Real events come to stand once each, and are answered as they were written."""
    sink = sink_of(real)
    assert "1.6" in await sink.check()
    enriched = [of_home_assistant(event) for event in events("2024.3.3", "b_events_plain")]
    points = [sink.point(event) for event in enriched]
    await sink.write(points)
    await sink.write(points)
    counted = await real.ask("SELECT count(available) FROM /.*/")
    changes = [event for event in enriched if event.type == "state_changed"]
    assert sum(int(str(row["count"])) for row in counted) == len(changes)
    others = await real.ask("SELECT count(data) FROM event")
    keys = {(e.type, e.entity_id, e.time) for e in enriched if e.type != "state_changed"}
    assert others[0]["count"] == len(keys)
    history = await sink.history("sensor.rest_number", START, END)
    mine = sorted((e for e in changes if e.entity_id == "sensor.rest_number"), key=lambda e: e.time)
    assert [e.time for e in history] == [e.time for e in mine]
    newest = await sink.events(START, END, limit=10)
    assert [e.time for e in newest] == sorted((e.time for e in enriched), reverse=True)[:10]
    await sink.close()


async def test_a_real_type_conflict_rejects_the_whole_batch(real):
    """A conflict is a rejection with the right reason; the others are written when sent alone."""
    sink = sink_of(real)
    with pytest.raises(PointRejected) as caught:
        await sink.write([b"m,a=b value=1.0 1", b'm,a=b value="text" 2', b"m,a=b value=3.0 3"])
    assert caught.value.reason == "field_type_conflict"
    for point in (b"m,a=b value=1.0 1", b"m,a=b value=3.0 3"):
        await sink.write([point])
    with pytest.raises(PointRejected):
        await sink.write([b'm,a=b value="text" 2'])
    assert [row["value"] for row in await real.ask("SELECT value FROM m")] == [1, 3]
    await sink.close()


async def test_a_real_influxdb_takes_the_proof(real):
    """The point by which a sink proves itself stands in a real InfluxDB, at its own time."""
    sink = sink_of(real)
    await sink.prove([])
    (row,) = await real.ask("SELECT written FROM habus_canary")
    assert row["written"] is True
    assert str(row["time"]) > "2020"
    await sink.close()


async def test_one_real_conflict_among_many_costs_itself(real):
    """Split by the worker, all but the point in conflict stand in a real InfluxDB."""
    sink = sink_of(real)
    points = [b"m,a=b value=%d.0 %d" % (n, n) for n in range(1, 1001)]
    await sink.write(points[:1])
    points[700] = b'm,a=b value="text" 701'
    refused = await write(points, sink, FakeHeartbeat(), asyncio.Event(), Portions())
    await sink.close()
    assert {n: error.reason for n, error in refused.items()} == {700: "field_type_conflict"}
    (row,) = await real.ask("SELECT count(value) FROM m")
    assert row["count"] == 999


async def test_a_real_influxdb_reads_every_escape_as_it_was_meant(real):
    """Text with every special character comes back from InfluxDB as it stands in our tags."""
    sink = sink_of(real)
    nasty = 'a,b=c d"e\\f\\,g\\\nh\ti\\'
    await sink.write([sink.point(state_change("sensor.n", nasty, area=nasty, unit=nasty))])
    (found,) = await sink.history("sensor.n", START, END)
    assert found.area == 'a,b=c d"e\\f/,g/\\nh\\ti/'
    assert found.state == found.unit == 'a,b=c d"e\\f\\,g\\\\nh\\ti\\'
    assert len(await real.ask("SHOW SERIES")) == 1
    await sink.close()


async def test_a_database_that_is_missing_is_named(real):
    """The check against a database that is not there names INFLUXDB_BUCKET."""
    sink = sink_of(real, bucket="nowhere")
    with pytest.raises(SinkUnavailable, match="INFLUXDB_BUCKET"):
        await sink.check()
    await sink.close()

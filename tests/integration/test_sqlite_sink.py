"""The sink that is a file."""

import asyncio
import sqlite3
from contextlib import AsyncExitStack
from datetime import UTC, datetime

import msgspec
import pytest

from common.config import SinkSettings
from common.errors import MalformedEvent, PointRejected, SinkUnavailable
from common.sink import open_sink
from common.sink.sqlite import SqliteSink
from tests.fakes.enriched import of_home_assistant, other, state_change
from tests.fakes.influxdb import FakeInfluxDB
from tests.fakes.recordings import events

pytestmark = pytest.mark.integration

START = datetime(2026, 11, 20, tzinfo=UTC)
END = datetime(2026, 11, 21, tzinfo=UTC)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "new folder" / "events.db"


@pytest.fixture
async def sink(path):
    made = SqliteSink(path)
    yield made
    await made.close()


def rows(path, ask="SELECT * FROM events ORDER BY time"):
    db = sqlite3.connect(path)
    try:
        return db.execute(ask).fetchall()
    finally:
        db.close()


async def test_the_check_makes_the_file_and_names_it(sink, path):
    """A file in a folder that is not there yet is made, and nothing is in it."""
    assert str(path) in await sink.check()
    assert rows(path) == []


async def test_a_commit_waits_for_the_disk(sink):
    """What was written survives a power cut: SQLite's FULL (2) or more."""
    await sink.check()
    assert sink._db.execute("PRAGMA synchronous").fetchone()[0] >= 2


async def test_the_same_event_stands_once(sink, path):
    """Writing an event again, or the same entity and time under another id, keeps one row."""
    event = state_change("sensor.x", "1")
    await sink.write([sink.point(event), sink.point(event)])
    await sink.write([sink.point(event)])
    twin = msgspec.structs.replace(state_change("sensor.x", "2"), id="another")
    await sink.write([sink.point(twin)])
    assert rows(path, "SELECT entity_id, state, id FROM events") == [("sensor.x", "2", "another")]


async def test_two_event_types_at_the_same_time_stand_both(sink, path):
    """Other events differ by their type, as in InfluxDB."""
    await sink.write([sink.point(other("a")), sink.point(other("b"))])
    assert len(rows(path)) == 2


async def test_a_person_can_read_the_file(sink, path):
    """The columns say what a person looks for, and `data` is the whole enriched event as JSON."""
    event = state_change("light.l", "on", area="Küche")
    await sink.write([sink.point(event)])
    found = rows(
        path,
        "SELECT time, entity_id, state, value, available, area, json_extract(data, '$.area')"
        " FROM events",
    )
    assert found == [(event.time, "light.l", "on", 1.0, 1, "Küche", "Küche")]


async def test_a_write_is_on_disk_when_it_returns(sink, path):
    """The file is in write-ahead mode, and each commit is synced."""
    await sink.write([sink.point(state_change())])
    assert rows(path, "PRAGMA journal_mode") == [("wal",)]
    assert sink._db.execute("PRAGMA synchronous").fetchone() == (2,)


async def test_nothing_is_written_of_nothing(sink, path):
    """No points make no file."""
    await sink.write([])
    assert not path.exists()


async def test_both_sinks_answer_the_same(sink):
    """For real events the file and InfluxDB give the same answers to the same questions."""
    enriched = [of_home_assistant(event) for event in events("2024.3.3", "b_events_plain")]
    plain = [
        event
        for event in enriched
        # Control characters are visible in InfluxDB and themselves in SQLite.
        if b"\\n" not in event.data and b"\\t" not in event.data
    ]
    await sink.write([sink.point(event) for event in plain])
    async with FakeInfluxDB() as server, AsyncExitStack() as running:
        settings = SinkSettings(influxdb_url=server.url, influxdb_token="token")
        influx = await running.enter_async_context(open_sink(settings))
        await influx.write([influx.point(event) for event in plain])
        for entity_id in ("sensor.rest_number", "light.bed_light", "sun.sun", "event.push"):
            history = await sink.history(entity_id, START, END)
            assert history == await influx.history(entity_id, START, END)
            assert await sink.events(START, END, entity_id) == await influx.events(
                START, END, entity_id
            )
        mine = await sink.events(START, END, limit=10_000)
        its = await influx.events(START, END, limit=10_000)
    key = msgspec.json.encode
    assert sorted(map(key, mine)) == sorted(map(key, its))
    assert [e.time for e in mine] == [e.time for e in its]
    assert len(mine) == len({(e.type, e.entity_id, e.time) for e in plain})


async def test_a_range_takes_its_start_and_leaves_its_end(sink):
    """start ≤ time < end, in any zone."""
    await sink.write([sink.point(state_change(time="2026-11-20T10:00:00.000000+00:00"))])
    at = datetime(2026, 11, 20, 10, tzinfo=UTC)
    assert len(await sink.events(at, END)) == 1
    assert await sink.events(START, at) == []
    assert len(await sink.history("sensor.kitchen", at, END, limit=1)) == 1


async def test_what_is_no_enriched_event_makes_no_point(sink):
    """Rubbish, bytes that are no text, and times nobody can keep, bury the event."""
    event = state_change()
    for data in (b"{}", event.data.replace(b'"attributes":{}', b'"attributes":{"\xff":1}')):
        with pytest.raises(MalformedEvent):
            sink.point(msgspec.structs.replace(event, data=data))
    with pytest.raises(MalformedEvent):
        sink.point(state_change(time="soon"))
    with pytest.raises(PointRejected):
        sink.point(state_change(time="1600-01-01T00:00:00.000000+00:00"))


async def test_a_full_disk_keeps_nothing_of_the_batch_and_heals(sink, path):
    """When the disk is full nothing of a batch stands, and the same write works later."""
    await sink.write([sink.point(state_change("sensor.before"))])
    pages = sink._db.execute("PRAGMA page_count").fetchone()[0]
    sink._db.execute(f"PRAGMA max_page_count = {pages}")
    batch = [
        sink.point(state_change(f"sensor.s{n}", attributes={"a": "x" * 5000})) for n in range(50)
    ]
    with pytest.raises(SinkUnavailable, match="free some space"):
        await sink.write(batch)
    assert len(rows(path)) == 1
    sink._db.execute("PRAGMA max_page_count = 100000")
    await sink.write(batch)
    assert len(rows(path)) == 51


async def test_a_row_of_a_wrong_shape_is_no_outage_and_holds_no_lock(sink, path):
    """A mistake of ours is raised as it is, and the transaction ends with it."""
    with pytest.raises(sqlite3.ProgrammingError):
        await sink.write([sink.point(state_change()), ("too", "short")])
    other_program = sqlite3.connect(path, timeout=0, isolation_level=None)
    other_program.execute("BEGIN IMMEDIATE")
    other_program.close()
    assert rows(path) == []


async def test_a_file_that_another_program_holds_is_waited_for(sink, path, monkeypatch):
    """A lock that does not go away is SinkUnavailable, and the write works after it."""
    monkeypatch.setattr("common.sink.sqlite._BUSY_S", 0.05)
    await sink.check()
    other_program = sqlite3.connect(path, isolation_level=None)
    other_program.execute("BEGIN IMMEDIATE")
    with pytest.raises(SinkUnavailable, match="another program"):
        await sink.write([sink.point(state_change())])
    other_program.execute("ROLLBACK")
    other_program.close()
    await sink.write([sink.point(state_change())])
    assert len(rows(path)) == 1


async def test_a_file_that_is_no_database_is_said(path):
    """Something else at the path is not overwritten; the message names file and setting."""
    path.parent.mkdir()
    path.write_bytes(b"my diary, volume 1" * 100)
    sink = SqliteSink(path)
    for ask in (sink.check(), sink.events(START, END)):
        with pytest.raises(SinkUnavailable, match=r"STORE_SQLITE_PATH.*move that file away"):
            await ask
    await sink.close()
    assert path.read_bytes().startswith(b"my diary")


async def test_a_folder_that_cannot_be_made_is_said(tmp_path):
    """A path through a file is SinkUnavailable."""
    (tmp_path / "file").write_text("")
    with pytest.raises(SinkUnavailable, match=r"STORE_SQLITE_PATH.*make its folder"):
        await SqliteSink(tmp_path / "file" / "events.db").check()


async def test_a_file_that_was_taken_away_is_made_anew(sink, path):
    """After somebody deletes the file, the next batch is in a new one."""
    await sink.write([sink.point(state_change("sensor.a"))])
    for part in path.parent.iterdir():
        part.unlink()
    await sink.write([sink.point(state_change("sensor.b"))])
    assert rows(path, "SELECT entity_id FROM events") == [("sensor.b",)]


async def test_writes_at_the_same_time_and_a_cancelled_one_leave_no_half(sink, path):
    """A write that is cancelled stands whole or not at all, and the next one works."""
    batches = [[sink.point(state_change(f"sensor.b{b}_{n}")) for n in range(200)] for b in range(5)]
    tasks = [asyncio.create_task(sink.write(batch)) for batch in batches]
    await asyncio.sleep(0)
    tasks[0].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await sink.write(batches[0])
    counts = rows(path, "SELECT count(*) FROM events GROUP BY substr(entity_id, 1, 9)")
    assert counts == [(200,)] * 5


async def test_the_settings_choose_the_sink(path):
    """`sqlite` gives the file; nothing of InfluxDB is asked."""
    settings = SinkSettings(store_sink="sqlite", store_sqlite_path=path)
    async with open_sink(settings, is_made=True) as sink:
        assert isinstance(sink, SqliteSink)
        await sink.check()
    assert sink._db is None


async def test_who_only_reads_makes_no_file(path):
    """A wrong path is told instead of an empty file being read; once store was there, it is."""
    settings = SinkSettings(store_sink="sqlite", store_sqlite_path=path)
    async with open_sink(settings) as sink:
        for ask in (sink.check, lambda: sink.events(START, END)):
            with pytest.raises(SinkUnavailable, match="no such file; store makes it"):
                await ask()
        assert not path.parent.exists()
        await SqliteSink(path).check()
        assert str(path) in await sink.check()
        assert await sink.events(START, END) == []

"""Gaps are filled from a simulated home's history, and what history cannot give is said."""

import asyncio
import json
import sqlite3
from contextlib import asynccontextmanager, closing, suppress
from functools import partial
from itertools import pairwise

import msgspec
import pytest

from common.bus import Backfills, Keys, connect
from common.errors import BackfillNotFound, HomeAssistantUnavailable
from common.event import GAP, microseconds, time_of
from common.lifecycle import Stopped
from ingest import __main__ as ingest_room
from ingest import backfill, gap, history, on_request
from ingest.batch import events_in
from ingest.config import Settings
from ingest.disk import SpoolDamaged
from ingest.frames import Frames
from ingest.gap import HOUR, SECOND, Span
from ingest.missing import Missing
from ingest.simulator.oracle import read_oracle
from ingest.simulator.server import Simulator
from ingest.simulator.settings import Settings as HomeSettings
from ingest.spool import open_spool
from tests.fakes.bus import event
from tests.fakes.toxic_proxy import ToxicProxy
from tests.fakes.until import until

pytestmark = pytest.mark.integration

KEYS = Keys()
UNRECORDED = "sensor.unrecorded_wifi"


class Ingest:
    """Ingest between a simulated home and an empty Redis."""

    def __init__(self, home, bus, redis_url, folder):
        self.home = home
        self.bus = bus
        self.redis_url = redis_url
        self.oracle = folder / "oracle"
        self.spool = folder / "spool.db"

    @asynccontextmanager
    async def running(self, **changed):
        stop = asyncio.Event()
        settings = Settings(
            **{
                "redis_url": self.redis_url,
                "worker_name": "test",
                "ha_websocket_url": self.home.url,
                "ha_access_token": self.home.token,
                "ingest_spool_path": self.spool,
                "ha_backfill_hours": 0,
                **changed,
            }
        )
        task = asyncio.create_task(ingest_room.main(settings, stop))
        try:
            await until(lambda: self.home.told or task.done(), what="the subscription")
            yield task
        finally:
            stop.set()
            try:
                await task
            except* Stopped:
                pass

    def rows(self):
        """(type, entity, µs, source, data) of each event of the spool."""
        with closing(sqlite3.connect(self.spool)) as db:
            found = [
                msgspec.structs.astuple(event)
                for (blob,) in db.execute("SELECT events FROM batch")
                for event in readable(blob)
            ]
        return [(e[1], e[2], microseconds(e[3]), e[4], json.loads(e[6])) for e in found]

    def spooled(self):
        """(µs, entity) of each state change of the spool; each stands there once."""
        keys = [(us, entity) for kind, entity, us, _, _ in self.rows() if kind == "state_changed"]
        assert len(keys) == len(set(keys))
        return set(keys)

    def fetched(self):
        """(µs, entity) of what came from history."""
        return {(us, entity) for _, entity, us, source, _ in self.rows() if source == "backfill"}

    def happened(self, entity_id=None, *, but=()):
        return {
            (change.us, change.entity_id)
            for change in read_oracle(self.oracle)
            if change.entity_id not in but and entity_id in (None, change.entity_id)
        }

    def damage(self, since, until_us):
        """Let no batch be readable that has an event between these times; how many these are."""
        count = 0
        with closing(sqlite3.connect(self.spool)) as db, db:
            for last, blob in db.execute("SELECT last, events FROM batch").fetchall():
                if any(since < microseconds(each.time) < until_us for each in events_in(blob)):
                    damaged = blob[:-1] + bytes([blob[-1] ^ 1])
                    db.execute("UPDATE batch SET events = ? WHERE last = ?", (damaged, last))
                    count += 1
        return count

    async def mark(self):
        """Up to when history is complete, µs; 0: nobody knows."""
        said = await self.bus.read_field(KEYS.watermark, "complete_until")
        return microseconds(said.decode()) if said else 0

    async def gaps(self):
        return json.loads(await self.bus.read_field(KEYS.watermark, "gaps") or b"[]")

    def facts(self):
        with closing(sqlite3.connect(self.spool)) as db:
            return dict(db.execute("SELECT name, value FROM fact"))

    async def filled(self, within_s=30):
        """Wait until nothing is missing but final gaps, and Redis knows."""

        async def is_filled():
            facts = self.facts()
            told = [gap["state"] for gap in await self.gaps()]
            is_closed = "gaps" in facts and "span" not in facts
            return is_closed and told == ["final"] * len(json.loads(facts["gaps"]))

        await until(is_filled, within_s=within_s, what="that the gap is filled")

    async def one_life(self, changes=100):
        """Run, hear some changes, stop; then as many happen that nobody hears."""
        async with self.running():
            self.home.change(changes)
            newest = max(us for us, _ in self.happened())

            async def heard():
                return await self.mark() == newest

            await until(heard, what="the watermark")
        self.home.change(changes)
        self.change(UNRECORDED, 3)
        return newest

    def change(self, entity_id, times=1):
        """Let one entity change; nobody is told."""
        life = self.home.home.lives[entity_id]
        for _ in range(times):
            self.home.home.change([life], self.home.now_us(), sent=False)


def readable(blob):
    """The events of a batch; none, when it is damaged."""
    with suppress(msgspec.MsgspecError):
        return events_in(blob)
    return []


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    monkeypatch.setattr(backfill, "SETTLE_S", 0.2)
    monkeypatch.setattr(on_request, "LOOK_EVERY_S", 0.05)
    monkeypatch.setattr(history, "RETRY_S", 0.05)
    monkeypatch.setattr(history, "ANSWER_S", 1.0)


@pytest.fixture
async def home(tmp_path):
    settings = HomeSettings(
        rate=0, oracle=str(tmp_path / "oracle"), linger_s=0.1, commit_s=0.1, run="r"
    )
    async with Simulator(settings).serve() as living:
        yield living


@pytest.fixture
async def ingest(home, redis_url, tmp_path):
    async with connect(redis_url) as bus:
        yield Ingest(home, bus, redis_url, tmp_path)


async def test_what_happened_while_ingest_was_down_is_fetched_once(ingest, home):
    """Each change that the recorder kept stands in the spool once; the watermark then moves on."""
    last = await ingest.one_life()
    async with ingest.running():
        await ingest.filled()
        assert ingest.happened(but=(UNRECORDED,)) <= ingest.spooled()
        assert await ingest.mark() > last
        home.change(1)
        newest = max(us for us, _ in ingest.happened())

        async def moved_on():
            return await ingest.mark() == newest

        await until(moved_on, what="the watermark")
    assert ingest.spooled() <= ingest.happened()
    assert {source for *_, source, _ in ingest.rows()} == {"live", "snapshot", "backfill"}
    times = [us for _, _, us, source, _ in ingest.rows() if source == "backfill"]
    turns = sum(after < before for before, after in pairwise(times))
    assert turns < 10 < len(times), "a slice comes by time, not entity by entity"


async def test_history_knows_the_state_before(ingest):
    """A row of history is an event as it would have come: with the state that went before."""
    await ingest.one_life()
    async with ingest.running():
        await ingest.filled()
    states = {}
    compared = 0
    for kind, entity, us, source, data in sorted(ingest.rows(), key=lambda row: row[2]):
        old = data["data"].get("old_state") if kind == "state_changed" else None
        if source == "backfill" and old is not None:
            compared += 1
            assert old["state"] == states[entity], us
        if kind == "state_changed":
            states[entity] = data["data"]["new_state"]["state"]
    assert compared > 10


async def test_an_entity_that_is_not_recorded_is_a_gap_of_its_own(ingest):
    """The gap names exactly the entities that changed without a trace, and from when to when."""
    last = await ingest.one_life()
    lost = {us for us, _ in ingest.happened(UNRECORDED) if us > last}
    assert len(lost) > 1
    async with ingest.running():
        await ingest.filled()
        [gap] = await ingest.gaps()
    kept_keys = ingest.spooled()
    kept = {us for us, entity in kept_keys if entity == UNRECORDED}
    assert max(lost) in kept, "its last state came by the snapshot"
    assert (gap["reason"], gap["entities"]) == ("not_recorded", [UNRECORDED])
    assert microseconds(gap["from"]) == last
    assert microseconds(gap["to"]) >= max(lost)
    assert gap["recovered"] == sum(source == "backfill" for *_, source, _ in ingest.rows()) - 1
    [(_, entity, us, source, data)] = [row for row in ingest.rows() if row[0] == GAP]
    assert (entity, us, source) == ("", last, "backfill")
    assert data["data"] == {key: gap[key] for key in data["data"]}


async def test_an_unrecorded_entity_that_did_not_change_is_no_gap(ingest):
    """Nothing is declared missing of a home in which nothing happened."""
    await ingest.one_life()
    async with ingest.running():
        await ingest.filled()
    before = ingest.spooled()
    for _ in range(2):
        async with ingest.running():
            await ingest.filled()
            assert len(await ingest.gaps()) == 1
    assert ingest.spooled() == before


async def test_removals_are_fetched_and_dated_as_they_are_live(ingest, home):
    """A removal that was missed stands once, and one that came live is not doubled by history."""
    async with ingest.running():
        home.change(200)
        live, missed = [name for name in sorted(home.home.lives) if name != UNRECORDED][:2]
        home.remove(live)

        async def heard():
            return await ingest.mark() == max(us for us, _ in ingest.happened())

        await until(heard, what="the watermark")
    home.remove(missed)
    async with ingest.running():
        await ingest.filled()
        assert ingest.happened(but=(UNRECORDED,)) <= ingest.spooled()
        assert not [gap for gap in await ingest.gaps() if gap["reason"] == "removed"]
    removed = {
        entity: source
        for kind, entity, _, source, data in ingest.rows()
        if kind == "state_changed" and data["data"]["new_state"] is None
    }
    assert removed == {live: "live", missed: "backfill"}


async def test_what_was_removed_live_is_no_gap_later(ingest, home):
    """Whose removal is stored is not missed, though history does not know of it."""
    async with ingest.running():
        await ingest.filled()
        home.remove(UNRECORDED)
        await until(lambda: ingest.happened() <= ingest.spooled(), what="the removal")
    home.change(50)
    async with ingest.running():
        await ingest.filled()
        assert ingest.happened() <= ingest.spooled()
        assert await ingest.gaps() == []


async def test_what_came_after_the_connect_and_vanished_is_a_gap(ingest, home):
    """An entity that was first heard of live is missed like those of the snapshot."""
    thing = home.home.lives[UNRECORDED].thing
    home.remove(UNRECORDED)
    async with ingest.running():
        await ingest.filled()
        life = home.home.move_in(thing)
        home.home.shuffle()
        home.publish([("state_changed", home.home.change([life], home.now_us(), sent=True))])
        await until(lambda: max(ingest.happened()) in ingest.spooled(), what="the new entity")
    ingest.change(UNRECORDED, 5)
    home.remove(UNRECORDED)
    for _ in range(2):
        async with ingest.running():
            await ingest.filled()
            [gap] = await ingest.gaps()
            assert (gap["reason"], gap["entities"]) == ("removed", [UNRECORDED])


async def test_an_entity_that_vanished_without_a_trace_is_a_gap(ingest, home):
    """What became of an entity of which history says nothing is not known."""
    await ingest.one_life()
    home.remove(UNRECORDED)
    async with ingest.running():
        await ingest.filled()
        [gap] = await ingest.gaps()
        assert (gap["reason"], gap["entities"]) == ("removed", [UNRECORDED])
    async with ingest.running():
        await ingest.filled()
        assert await ingest.gaps() == [gap]


@pytest.mark.parametrize("how", ["abort", "1012"])
async def test_a_lost_connection_is_filled_too(ingest, home, how):
    """What happens between two connections is fetched at the second."""
    async with ingest.running():
        home.change(100)
        await ingest.filled()
        home.drop(how)
        await until(lambda: not home.told)
        home.change(100)
        await until(lambda: home.told, within_s=20, what="the reconnect")

        async def all_there():
            return ingest.happened(but=(UNRECORDED,)) <= ingest.spooled()

        await until(all_there, within_s=20, what="what was missed")


async def test_a_restart_of_home_assistant_is_filled(ingest, home):
    """Asked is only when it runs again; its history then closes the gap."""
    await ingest.one_life()
    async with ingest.running():
        await ingest.filled()
        await home.restart(down_s=0.5, starting_s=1.0)
        await until(lambda: home.told, within_s=20, what="the reconnect")

        async def all_there():
            return ingest.happened(but=(UNRECORDED,)) <= ingest.spooled()

        await until(all_there, within_s=20, what="what was missed")
        await ingest.filled()
    assert {gap["reason"] for gap in await ingest.gaps()} == {"not_recorded"}


async def test_the_watermark_stands_still_until_the_gap_is_filled(ingest, home):
    """While history does not answer, live events flow and the watermark keeps its place."""
    last = await ingest.one_life()
    home.misbehave(history="slow", history_slow_s=0.8)
    async with ingest.running():
        home.change(50)

        async def live_events_are_there():
            return len([row for row in ingest.rows() if row[3] == "live"]) >= 150

        await until(live_events_are_there, what="live events beside a slow history")
        assert await ingest.mark() == last
        [gap] = await ingest.gaps()
        assert (gap["state"], microseconds(gap["from"]), gap["to"]) == ("open", last, None)
        home.behave()
        await ingest.filled()
        assert await ingest.mark() > last


async def test_a_backfill_that_was_killed_goes_on(ingest, home):
    """A span that is open when ingest ends is open when it starts, from the same beginning."""
    last = await ingest.one_life()
    home.misbehave(history="never")
    for _ in range(2):
        async with ingest.running():
            home.change(50)

            async def heard():
                return max(ingest.happened()) in ingest.spooled()

            await until(heard, what="the live events")
            assert await ingest.mark() == last
        home.change(50)
    home.behave()
    async with ingest.running():
        await ingest.filled()
        assert ingest.happened(but=(UNRECORDED,)) <= ingest.spooled()
    [gap] = await ingest.gaps()
    assert microseconds(gap["from"]) == last


@pytest.mark.parametrize("how", ["error", "never"])
async def test_a_history_that_fails_is_a_gap_in_the_end(ingest, home, how, monkeypatch):
    """After some tries what history did not answer is said, with all entities."""
    monkeypatch.setattr(history, "ANSWER_S", 0.1)
    last = await ingest.one_life()
    home.misbehave(history=how)
    async with ingest.running():
        await ingest.filled()
        gaps = {gap["reason"]: gap for gap in await ingest.gaps()}
    assert set(gaps) == {"history_failed", "not_recorded"}
    failed = gaps["history_failed"]
    assert microseconds(failed["from"]) <= last
    assert set(home.home.lives) <= set(failed["entities"])


async def test_an_empty_history_is_noticed(ingest, home):
    """Where history answers nothing, everything that changed is named."""
    last = await ingest.one_life()
    home.misbehave(history="empty")
    async with ingest.running():
        await ingest.filled()
        [gap] = await ingest.gaps()
    changed = {entity for us, entity in ingest.happened() if us > last}
    assert (gap["reason"], set(gap["entities"])) == ("not_recorded", changed)


async def test_a_home_without_recorder_has_one_gap(tmp_path, redis_url):
    """Without history everybody's changes are missing, and that is said once."""
    settings = HomeSettings(rate=0, oracle=str(tmp_path / "oracle"), linger_s=0.1, recorder=False)
    async with Simulator(settings).serve() as home, connect(redis_url) as bus:
        ingest = Ingest(home, bus, redis_url, tmp_path)
        last = await ingest.one_life()
        async with ingest.running():
            await ingest.filled()
            [gap] = await ingest.gaps()
    assert (gap["reason"], gap["entities"]) == ("recorder_absent", "all")
    assert microseconds(gap["from"]) == last


async def test_what_is_committed_late_comes_with_the_second_pass(tmp_path, redis_url, monkeypatch):
    """The recorder shows the last seconds late; they are asked for again."""
    monkeypatch.setattr(backfill, "SETTLE_S", 1.2)
    settings = HomeSettings(rate=0, oracle=str(tmp_path / "oracle"), linger_s=0.1, commit_s=1.0)
    async with Simulator(settings).serve() as home, connect(redis_url) as bus:
        ingest = Ingest(home, bus, redis_url, tmp_path)
        await ingest.one_life()
        await until(lambda: home.now_us() % SECOND < SECOND // 10)  # it has just committed
        home.change(20)
        async with ingest.running():
            home.change(10)
            await ingest.filled()
            assert ingest.happened(but=(UNRECORDED,)) <= ingest.spooled()


async def test_a_quiet_home_that_commits_late_is_waited_for(tmp_path, redis_url, monkeypatch):
    """Where nothing comes live, it is asked again until history shows what changed or went last."""
    monkeypatch.setattr(backfill, "SETTLE_S", 0.8)
    settings = HomeSettings(rate=0, oracle=str(tmp_path / "oracle"), linger_s=0.1, commit_s=2.0)
    async with Simulator(settings).serve() as home, connect(redis_url) as bus:
        ingest = Ingest(home, bus, redis_url, tmp_path)
        home.remove(UNRECORDED)
        async with ingest.running():
            await ingest.filled()
        await until(lambda: home.now_us() % (2 * SECOND) < SECOND // 10)  # it has just committed
        home.change(13)
        home.remove(next(iter(home.home.lives)))
        async with ingest.running():
            await ingest.filled()
            assert ingest.happened(but=(UNRECORDED,)) <= ingest.spooled()
            assert await ingest.gaps() == []


async def test_what_came_live_is_not_fetched_again(tmp_path, redis_url, monkeypatch):
    """The second look at history ends soon after the first live event: the rest was heard."""
    monkeypatch.setattr(backfill, "SETTLE_S", 3.0)
    settings = HomeSettings(rate=0, oracle=str(tmp_path / "oracle"), linger_s=0.1, commit_s=0.2)
    async with Simulator(settings).serve() as home, connect(redis_url) as bus:
        ingest = Ingest(home, bus, redis_url, tmp_path)
        await ingest.one_life()
        async with ingest.running():
            home.change(50)
            begin = max(us for us, _ in ingest.happened())
            await until(lambda: home.now_us() > begin + 2 * SECOND, what="two seconds to pass")
            before = int(ingest.facts().get("duplicates", 0))
            home.change(500)
            await ingest.filled()
            assert ingest.happened(but=(UNRECORDED,)) <= ingest.spooled()
            assert int(ingest.facts()["duplicates"]) - before < 400


async def test_the_first_start_fetches_hours_before_it(tmp_path, redis_url):
    """At the very first start history is fetched as far as is set, and nothing is called a gap."""
    settings = HomeSettings(
        rate=0, oracle=str(tmp_path / "oracle"), linger_s=0.1, commit_s=0.1, past_h=3.0
    )
    async with Simulator(settings).serve() as home, connect(redis_url) as bus:
        ingest = Ingest(home, bus, redis_url, tmp_path)
        async with ingest.running(ha_backfill_hours=2):
            begin = max(us for us, _ in ingest.happened()) - 2 * 3_600_000_000

            async def is_complete():
                return await ingest.mark() > begin + 3_600_000_000

            await until(is_complete, what="the watermark")
            assert await ingest.gaps() == []
            assert not [row for row in ingest.rows() if row[0] == GAP]
        wanted = {key for key in ingest.happened(but=(UNRECORDED,)) if key[0] > begin}
        fetched = {row[2] for row in ingest.rows() if row[3] == "backfill"}
        assert wanted <= ingest.spooled()
        assert min(fetched) > begin - 120_000_000


@pytest.mark.parametrize("is_restarted", [False, True])
async def test_what_is_missed_within_the_first_backfill_is_fetched_or_told(
    tmp_path, redis_url, is_restarted
):
    """The first span goes on after a lost connection; from then on what stays missing is a gap."""
    settings = HomeSettings(
        rate=0, oracle=str(tmp_path / "oracle"), linger_s=0.1, commit_s=0.1, past_h=3.0
    )
    async with Simulator(settings).serve() as home, connect(redis_url) as bus:
        ingest = Ingest(home, bus, redis_url, tmp_path)
        home.misbehave(history="never")
        begin = home.now_us() - 2 * HOUR
        async with ingest.running(ha_backfill_hours=2):
            home.change(50)
            await until(lambda: max(ingest.happened()) in ingest.spooled(), what="live events")
            await until(lambda: "span" in ingest.facts(), what="the first span")
            last, _ = max(key for key in ingest.happened())
            if not is_restarted:
                home.drop("abort")
                await until(lambda: not home.told)
                await go_missing(ingest)
                await until(lambda: home.told, within_s=20, what="the reconnect")
                await ingest.filled()
        if is_restarted:
            await go_missing(ingest)
            async with ingest.running(ha_backfill_hours=2):
                await ingest.filled()
        wanted = {key for key in ingest.happened(but=(UNRECORDED,)) if key[0] > begin}
        assert wanted <= ingest.spooled()
        [gap] = await ingest.gaps()
    assert (gap["reason"], gap["entities"]) == ("not_recorded", [UNRECORDED])
    assert microseconds(gap["from"]) == last


async def go_missing(ingest):
    """Let things happen that nobody is told of; history shows them, but one."""
    ingest.home.behave()
    ingest.home.change(50)
    ingest.change(UNRECORDED, 3)


async def test_what_is_missed_before_the_first_span_is_known_is_fetched(redis_url, tmp_path):
    """Without hours to fetch at first, and with Redis away, the first hole is a span all the same.

    Only of a home that was never heard nothing is missing.
    """
    heard = microseconds(event(1).time)
    now = heard + SECOND
    async with connect(redis_url) as bus, open_spool(tmp_path / "spool.db") as spool:
        missing = Missing(spool, bus, "home", 0)
        await missing.begin(now)
        await missing.begin(now)
        await spool.add([event(1)], filtered=0, now_ms=0)
        for later in (HOUR, 2 * HOUR):
            await missing.begin(now + later)
        assert await missing.resolve(now + HOUR, "", asyncio.Event()) == Span(heard, promised=heard)
        [told] = missing.shown()
        assert (told["state"], microseconds(told["from"])) == ("open", heard)


async def test_what_a_damaged_spool_lost_is_fetched_or_told(ingest, home):
    """From where Redis is complete all is fetched again; what history has not got is a gap."""
    await ingest.one_life()
    async with ingest.running():
        await ingest.filled()
        mark = await ingest.mark()
    async with ToxicProxy(int(ingest.redis_url.rpartition(":")[2].partition("/")[0])) as way:
        ingest.redis_url = f"redis://127.0.0.1:{way.port}/0"
        await way.down()
        async with ingest.running():
            await until(lambda: "span" not in ingest.facts(), what="the span of the start")
            for _ in range(2):
                until_us = home.now_us()
                home.change(300)
                await until(lambda: max(ingest.happened()) in ingest.spooled(), what="live events")
        assert ingest.damage(mark, until_us) >= 1
        assert not ingest.happened(but=(UNRECORDED,)) <= ingest.spooled()
        await way.heal()

        async def named():
            gaps = [each for each in await ingest.gaps() if microseconds(each["from"]) == mark]
            return gaps and (gaps[0]["state"], gaps[0]["reason"]) == ("final", "not_recorded")

        async with ingest.running():
            await until(named, 30, "the gap from where Redis was complete")
    assert ingest.happened(but=(UNRECORDED,)) <= ingest.spooled()
    assert (await ingest.gaps())[-1]["entities"] == [UNRECORDED]


async def test_a_spool_that_is_damaged_at_work_fetches_what_it_may_have_lost(
    ingest, home, monkeypatch
):
    """The connection is made anew, as after every time of which something may be missing."""
    opened = []

    @asynccontextmanager
    async def kept(path):
        async with open_spool(path) as spool:
            opened.append(spool)
            yield spool

    monkeypatch.setattr(ingest_room, "open_spool", kept)
    async with ingest.running():
        home.change(50)
        await ingest.filled()
        await opened[0]._begin_anew(SpoolDamaged("by hand"))
        home.change(1)
        await until(lambda: not home.told, what="that ingest hangs up")
        home.change(50)
        await until(lambda: home.told, within_s=20, what="the reconnect")
        await until(lambda: ingest.happened(but=(UNRECORDED,)) <= ingest.spooled(), within_s=20)
        await ingest.filled()


async def test_a_lost_spool_goes_on_where_redis_knows(ingest):
    """With a new spool, the watermark in Redis says from when on everything may be missing."""
    await ingest.one_life()
    for file in ingest.spool.parent.glob("spool.db*"):
        file.unlink()
    async with ingest.running(worker_name="other"):
        await ingest.filled()
        [gap] = await ingest.gaps()
    assert gap["reason"] == "not_recorded"
    assert "backfill" in {source for *_, source, _ in ingest.rows()}


async def test_a_person_can_have_a_time_fetched_again(tmp_path, redis_url):
    """What is asked for is fetched, of the entities that are named; Redis says how far it is."""
    settings = HomeSettings(
        rate=0, oracle=str(tmp_path / "oracle"), linger_s=0.1, commit_s=0.1, past_h=5.0
    )
    async with Simulator(settings).serve() as home, connect(redis_url) as bus:
        ingest, jobs = Ingest(home, bus, redis_url, tmp_path), Backfills(bus)
        now = home.now_us()
        begin, end = now - 4 * HOUR, now - 2 * HOUR
        ask = partial(jobs.ask, time_of(begin), time_of(end))
        async with ingest.running():
            job = await ask(["sensor.*"], time_of(now))
            await done(jobs, job)
            wanted = {key for key in ingest.happened(but=(UNRECORDED,)) if begin <= key[0] < end}
            named = {key for key in wanted if key[1].startswith("sensor.")}
            assert named < wanted
            assert ingest.fetched() == named
            assert (await jobs.get(job.id)).recovered == len(named)
            await done(jobs, await ask([], time_of(now + 1)))
            assert ingest.fetched() == wanted
            odd = await done(jobs, await ask(["sensor.nobody.knows"], time_of(now + 2)))
            assert odd.gaps or odd.error


async def test_what_cannot_be_had_on_request_is_said(tmp_path, redis_url):
    """A purged time, one to come, and names that nobody bears do not look as if all were well."""
    settings = HomeSettings(
        rate=0, oracle=str(tmp_path / "oracle"), linger_s=0.1, commit_s=0.1, past_h=30.0
    )
    async with Simulator(settings).serve() as home, connect(redis_url) as bus:
        ingest, jobs = Ingest(home, bus, redis_url, tmp_path), Backfills(bus)
        now, asked = home.now_us(), []

        async def fetched(begin, hours, *names):
            asked.append(names)
            at = time_of(now + len(asked))
            job = await jobs.ask(time_of(begin), time_of(begin + int(hours * HOUR)), names, at)
            return await done(jobs, job)

        def missing(job):
            return [(gap["reason"], gap["entities"]) for gap in job.gaps]

        gone = next(name for name in sorted(home.home.lives) if name != UNRECORDED)
        home.remove(gone)
        async with ingest.running():
            for hours in (0.5, 24, 72):
                purged = await fetched(now - 999 * 24 * HOUR, hours)
                assert missing(purged) == [("beyond_retention", "all")]
            assert missing(await fetched(now - 29 * HOUR, 0.5, UNRECORDED)) == []
            future = await fetched(now + 3 * HOUR, 1)
            assert "still to come" in future.error
            half = await fetched(now - HOUR, 2)
            assert (half.error, half.progress) == ("", 1.0)
            assert now < microseconds(half.end) == microseconds(half.done_until) < now + HOUR
            typo = await fetched(now - HOUR, 1, "Sensor.Typo", "light.no*", "sensor.*", UNRECORDED)
            assert missing(typo)[-1] == ("unknown_entity", ["light.no*", "sensor.typo"])
            assert missing(await fetched(now - 4 * HOUR, 1, gone)) == []
            await fetched(now - 6 * HOUR, 1)  # whoever was asked for once is known
            old = {key for key in ingest.happened(gone) if key[0] < now - 5 * HOUR}
            wanted = {key for key in old if key[0] >= now - 6 * HOUR}
            assert wanted
            assert wanted <= ingest.fetched()


async def test_a_request_that_was_killed_goes_on_and_one_that_is_cancelled_ends(
    tmp_path, redis_url, monkeypatch
):
    """Progress stands in Redis: a new ingest goes on there; what is taken back is not resumed."""
    monkeypatch.setattr(gap, "LONGEST_SLICE", 600 * SECOND)
    settings = HomeSettings(
        rate=0, oracle=str(tmp_path / "oracle"), linger_s=0.1, commit_s=0.1, past_h=10.0
    )
    async with Simulator(settings).serve() as home, connect(redis_url) as bus:
        ingest, jobs = Ingest(home, bus, redis_url, tmp_path), Backfills(bus)
        now = home.now_us()
        begin, end = now - 9 * HOUR, now
        job = await jobs.ask(time_of(begin), time_of(end), [], time_of(now))

        async def is_under_way():
            return 0.1 < (await jobs.get(job.id)).progress < 1

        async with ingest.running():
            await until(is_under_way, what="the first slices")
        cut = await jobs.get(job.id)
        assert cut.state == "running"
        before = ingest.fetched()
        async with ingest.running():
            whole = await done(jobs, job)
        assert whole.recovered > cut.recovered > 0
        wanted = {key for key in ingest.happened(but=(UNRECORDED,)) if begin <= key[0] < end}
        assert before < wanted <= ingest.spooled()
        again = await jobs.ask(time_of(begin), time_of(end), [], time_of(now + 1))
        async with ingest.running():
            await until(jobs.list, what="the request")
            await jobs.cancel(again.id)
            with pytest.raises(BackfillNotFound):
                await jobs.get(again.id)
            last = await jobs.ask(time_of(end - SECOND), time_of(end), [], time_of(now + 2))
            await done(jobs, last)
            assert [job.id for job in await jobs.list()] == [last.id, job.id]


async def done(jobs, job):
    """Wait for a request; return it as it is then."""

    async def is_done():
        return (await jobs.get(job.id)).state == "done"

    await until(is_done, within_s=30, what="the backfill")
    return await jobs.get(job.id)


async def test_what_overflowed_is_fetched(ingest, home, monkeypatch):
    """When the queue before the spool is full we hang up; nothing of what was sent is missing."""
    full = []
    put = Frames.put

    def narrow(self, frame):
        self._max_bytes = 20_000 if len(full) < 2 else 2**26
        try:
            put(self, frame)
        except HomeAssistantUnavailable:
            full.append(frame)
            raise

    async with ingest.running():
        home.change(50)
        await ingest.filled()
        monkeypatch.setattr(Frames, "put", narrow)

        async def all_there():
            if len(full) < 2:
                home.change(200 if home.told else 0)
                return False
            return home.told and ingest.happened(but=(UNRECORDED,)) <= ingest.spooled()

        await until(all_there, within_s=40, what="what overflowed")


@pytest.mark.parametrize("is_history_first", [True, False])
async def test_what_comes_live_and_by_history_stands_once(ingest, home, is_history_first):
    """The same change is one event, whichever way it came first."""
    async with ingest.running():
        await ingest.filled()  # so that the snapshot shows each entity as it was at first
        home.change(200)
        await until(lambda: ingest.happened() <= ingest.spooled(), what="the live events")
        live = {row[2]: row[3] for row in ingest.rows()}
        now = home.now_us()
        jobs = Backfills(ingest.bus)
        if is_history_first:
            home.misbehave(late_s=1.5)
            home.change(100)
            home.behave()
        job = await jobs.ask(time_of(now - HOUR), time_of(home.now_us()), [], time_of(now))
        found = await done(jobs, job)
        await until(lambda: ingest.happened() <= ingest.spooled(), what="the late events")
    assert (found.recovered > 0) == is_history_first
    assert ingest.spooled() == ingest.happened()
    ways = {row[2]: row[3] for row in ingest.rows()}
    assert {us: ways[us] for us in live} == live


async def test_a_huge_answer_does_not_hold_up_live_events(ingest, home):
    """Live events go on beside answers of 20 MB; that these were false is noticed and mended."""
    await ingest.one_life()
    home.misbehave(history="huge")
    async with ingest.running():
        for _ in range(5):
            home.change(20)
            newest = max(ingest.happened())
            await until(lambda newest=newest: newest in ingest.spooled(), what="a live event")
        assert home.told
        home.behave()
        await ingest.filled()
        assert ingest.happened(but=(UNRECORDED,)) <= ingest.spooled()

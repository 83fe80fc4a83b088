"""From a real spool to a real Redis."""

import asyncio
import shutil
import sqlite3
from contextlib import asynccontextmanager, suppress

import pytest

from common.bus import INGEST, Keys, RawStream, connect
from common.bus.trim import share_of_memory
from common.errors import BusUnavailable, SpoolInUse
from common.heartbeat import Heartbeat, read_pulses
from common.ledger import read_ledger
from common.lifecycle import Stopped
from ingest import deliver as deliver_module
from ingest import fresh as fresh_module
from ingest.deliver import Delivery
from ingest.spool import open_spool
from tests.fakes.bus import START_MS, append, event, field_values, letter_row
from tests.fakes.lossy_proxy import LossyProxy
from tests.fakes.redis_server import RedisServer
from tests.fakes.until import until

pytestmark = pytest.mark.integration

KEYS = Keys()


@pytest.fixture
async def bus(redis_url):
    async with connect(redis_url) as opened:
        yield opened


@pytest.fixture
async def spool(tmp_path):
    async with open_spool(tmp_path / "spool.db") as opened:
        yield opened


async def add(spool, *numbers, now_ms=START_MS):
    await spool.add([event(n) for n in numbers], filtered=1, now_ms=now_ms)


def delivery(spool, bus):
    return Delivery(spool, bus, Heartbeat(bus, INGEST, "me", {"spool": spool.identity}))


async def send_all(spool, bus, work=None):
    """Let a delivery run until it has sent what there is."""
    stop = asyncio.Event()
    stop.set()
    async with asyncio.timeout(20):
        await (work or delivery(spool, bus)).keep_sending(stop)


async def stands(bus, event_id):
    return event_id in await field_values(bus, KEYS.raw, "id")


def ids(*numbers):
    return [event(n).id for n in numbers]


async def test_what_is_spooled_is_sent_in_order(spool, bus):
    """What is there is sent, then what comes; a stop sends the rest first."""
    await add(spool, 3, 1)
    stop = asyncio.Event()
    sending = asyncio.create_task(delivery(spool, bus).keep_sending(stop))
    await until(lambda: bus.command("XLEN", KEYS.raw))
    await add(spool, 2)
    stop.set()
    await sending
    assert await field_values(bus, KEYS.raw, "id") == ids(3, 1, 2)
    ledger = await read_ledger(bus)
    assert (ledger.captured, ledger.filtered, ledger.unaccounted) == (5, 2, 0)


async def test_the_stream_is_complete_only_when_all_was_sent(spool, bus, monkeypatch):
    """While rows wait in the spool Redis is not told up to when all is there: it is not there."""
    monkeypatch.setattr(deliver_module, "APPENDED_AT_ONCE", 2)
    await add(spool, 1, 2, 3)
    told = []
    whole = RawStream.append

    async def heard(self, rows, tally):
        position = await whole(self, rows, tally)
        told.append((len(rows), await bus.read_field(KEYS.watermark, "complete_until")))
        return position

    monkeypatch.setattr(RawStream, "append", heard)
    await send_all(spool, bus)
    assert told == [(2, None), (1, event(3).time.encode())]


async def test_a_delivery_that_starts_anew_sends_nothing_twice(spool, bus):
    """The stream's last id says where to go on."""
    await add(spool, 1, 2)
    await send_all(spool, bus)
    await add(spool, 3)
    await send_all(spool, bus)
    assert await field_values(bus, KEYS.raw, "id") == ids(1, 2, 3)


async def test_every_lost_answer_is_made_good(redis_url, spool, bus, monkeypatch):
    """Whichever answer is lost, and however often: each event is in the stream once, in order."""
    monkeypatch.setattr(deliver_module, "APPENDED_AT_ONCE", 4)
    await add(spool, *range(1, 41))
    async with LossyProxy(redis_url) as proxy, connect(proxy.url) as far:
        stop = asyncio.Event()
        sending = asyncio.create_task(delivery(spool, far).keep_sending(stop))
        for n, word in enumerate((b"HGET", b"HSET", b"EVALSHA", b"EVALSHA", b"HSET"), 1):
            proxy.lose_answer_to = word
            await add(spool, 1000 + n)
            if word != b"EVALSHA":
                proxy.cut()
            await until(lambda n=n: proxy.lost == n, what=f"the loss of {word}")

        async def all_sent():
            return await bus.command("XLEN", KEYS.raw) >= 45

        await until(all_sent, within_s=30)
        stop.set()
        await sending
    expected = ids(*range(1, 41), *(1000 + n for n in range(1, 6)))
    assert await field_values(bus, KEYS.raw, "id") == expected
    assert (await read_ledger(bus)).unaccounted == 0


async def test_a_stream_of_a_spool_that_is_gone_is_taken_over(spool, bus):
    """With a new spool everything in it is sent, after what stands in the stream."""
    await append(bus, 1, 5)
    await add(spool, 100, 101)
    await send_all(spool, bus)
    assert await field_values(bus, KEYS.raw, "id") == ids(1, 2, 3, 4, 5, 100, 101)
    assert await RawStream(bus, "").owner() == spool.identity
    assert (await read_ledger(bus)).captured == 8


async def test_a_takeover_whose_answer_was_lost_loses_nothing(redis_url, spool, bus):
    """A new spool that took over the stream, but did not hear of it, still sends everything."""
    await append(bus, 1, 50)  # at the very time of our own rows: both ran beside each other
    await add(spool, 100, 101)
    async with LossyProxy(redis_url) as proxy, connect(proxy.url) as far:
        proxy.lose_answer_to = b"HSET"
        stop = asyncio.Event()
        sending = asyncio.create_task(delivery(spool, far).keep_sending(stop))

        async def owned():
            return await RawStream(bus, "").owner() == spool.identity

        await until(lambda: proxy.lost)
        await until(owned)
        await add(spool, 102)
        last = event(102).id
        with suppress(AssertionError):
            await until(lambda: stands(bus, last), within_s=3)
        stop.set()
        await sending
    assert await field_values(bus, KEYS.raw, "id") == ids(*range(1, 51), 100, 101, 102)


async def test_an_entry_of_somebody_else_hides_nothing(spool, bus, monkeypatch):
    """An entry added by hand, with a later id than our next ones, does not swallow them."""
    monkeypatch.setattr(deliver_module, "APPENDED_AT_ONCE", 2)
    await add(spool, 1, 2)
    stop = asyncio.Event()
    sending = asyncio.create_task(delivery(spool, bus).keep_sending(stop))
    await until(lambda: stands(bus, event(2).id))
    await bus.command("XADD", KEYS.raw, f"{START_MS + 10**6}-0", "id", "by hand")
    await add(spool, 3, 4, 5)
    await until(lambda: stands(bus, event(5).id))
    stop.set()
    await sending
    assert await field_values(bus, KEYS.raw, "id") == [*ids(1, 2), "by hand", *ids(3, 4, 5)]


@asynccontextmanager
async def opened(path, backup):
    """A spool from a backup."""
    shutil.copy(backup, path)
    async with open_spool(path) as spool:
        yield spool


async def backup_of(spool, path):
    """Back the spool up as a NAS does: file and log at one instant, here in one file."""
    copy = sqlite3.connect(path)
    spool._disk.reader.backup(copy)
    copy.close()
    return path


async def test_a_spool_from_a_backup_sends_nothing_twice_and_loses_nothing_new(tmp_path, bus):
    """Older than Redis, and with a clock that went back: what is new comes after all there is."""
    async with open_spool(tmp_path / "spool.db") as spool:
        await add(spool, 1, 2, 3)
        await send_all(spool, bus)
        backup = await backup_of(spool, tmp_path / "backup.db")
        await add(spool, *range(4, 30))
        await send_all(spool, bus)
    async with opened(tmp_path / "new.db", backup) as spool:
        work = delivery(spool, bus)
        await add(spool, 31, 32, now_ms=START_MS - 1000)
        await send_all(spool, bus, work)
        await add(spool, 33, now_ms=START_MS - 1000)
        await send_all(spool, bus, work)
    assert await field_values(bus, KEYS.raw, "id") == ids(*range(1, 30), 31, 32, 33)
    ledger = await read_ledger(bus)
    assert (ledger.captured, ledger.filtered, ledger.unaccounted) == (32 + 4, 4, 0)


async def test_a_newer_backup_after_an_older_one_is_sent_as_far_as_it_was_not(tmp_path, bus):
    """Rows that were spooled and not sent are sent, though the stream has later ones since."""
    async with open_spool(tmp_path / "spool.db") as spool:
        await add(spool, 1, 2)
        await send_all(spool, bus)
        older = await backup_of(spool, tmp_path / "older.db")
        await add(spool, 3, 4)
        newer = await backup_of(spool, tmp_path / "newer.db")
    async with opened(tmp_path / "a.db", older) as spool:
        await add(spool, *range(10, 20), now_ms=START_MS + 50)
        await send_all(spool, bus)
    async with opened(tmp_path / "b.db", newer) as spool:
        await send_all(spool, bus)
    assert await field_values(bus, KEYS.raw, "id") == ids(1, 2, *range(10, 20), 3, 4)


async def test_letters_are_looked_past_when_the_newest_common_row_is_sought(tmp_path, bus):
    """Dead letters leave no trace in the stream; what stands there is found all the same."""
    unreadable = [(row.event, row.letter) for row in map(letter_row, range(50, 60))]
    async with open_spool(tmp_path / "spool.db") as spool:
        await add(spool, 1, 2)
        await spool.add([], unreadable, filtered=0, now_ms=START_MS)
        await add(spool, 3)
        await send_all(spool, bus)
        backup = await backup_of(spool, tmp_path / "backup.db")
        await add(spool, 4)
        await send_all(spool, bus)
    async with opened(tmp_path / "new.db", backup) as spool:
        await add(spool, 5, now_ms=START_MS + 9)
        await send_all(spool, bus)
    assert await field_values(bus, KEYS.raw, "id") == ids(1, 2, 3, 4, 5)
    assert await bus.command("XLEN", KEYS.dead) == 10


async def test_a_redis_from_a_backup_gets_what_it_lacks(spool, bus):
    """Older than the spool: what it has is not sent again, the rest is."""
    await add(spool, 1, 2)
    await send_all(spool, bus)
    kept = {key: await bus.command("DUMP", key) for key in (KEYS.raw, KEYS.watermark, KEYS.ledger)}
    await add(spool, 3, 4)
    await send_all(spool, bus)
    for key, dump in kept.items():
        await bus.command("RESTORE", key, 0, dump, "REPLACE")
    await send_all(spool, bus)
    assert await field_values(bus, KEYS.raw, "id") == ids(1, 2, 3, 4)
    ledger = await read_ledger(bus)
    assert (ledger.captured, ledger.filtered, ledger.unaccounted) == (6, 2, 0)


@pytest.mark.parametrize(
    "gone", [(KEYS.raw,), (KEYS.watermark,), (KEYS.ledger,), (KEYS.raw, KEYS.watermark)]
)
async def test_keys_that_are_deleted_under_load_lose_nothing(spool, bus, gone):
    """Whichever key goes: each event is in the stream once, and each letter was buried once."""
    unreadable = letter_row(50)
    await add(spool, 1, 2)
    await spool.add([], [(unreadable.event, unreadable.letter)], filtered=0, now_ms=START_MS)
    await add(spool, 3)
    stop = asyncio.Event()
    sending = asyncio.create_task(delivery(spool, bus).keep_sending(stop))
    await until(lambda: stands(bus, event(3).id))
    await bus.command("DEL", *gone)
    await add(spool, 4)
    await until(lambda: stands(bus, event(4).id))
    stop.set()
    await sending
    assert await field_values(bus, KEYS.raw, "id") == ids(1, 2, 3, 4)
    letters = await bus.command("XLEN", KEYS.dead)
    assert letters == 1 + (gone == (KEYS.raw, KEYS.watermark))


@pytest.mark.parametrize("key", [KEYS.raw, KEYS.watermark, KEYS.ledger, KEYS.dead])
async def test_a_key_of_a_wrong_type_is_named_and_waited_for(spool, bus, key):
    """Nothing is appended until the key is gone; the heartbeat says which, and what to do."""
    unreadable = letter_row(2)
    await bus.command("SET", key, "by hand")
    await spool.add(
        [event(1)], [(unreadable.event, unreadable.letter)], filtered=3, now_ms=START_MS
    )
    stop = asyncio.Event()
    heartbeat = Heartbeat(bus, INGEST, "me", {"spool": spool.identity})
    sending = asyncio.create_task(Delivery(spool, bus, heartbeat).keep_sending(stop))

    async def told():
        await heartbeat.beat()
        [pulse] = await read_pulses(bus, INGEST)
        return f"RENAME {key} {key}:old" in pulse.dependencies.get("redis", "")

    await until(told)
    await bus.command("DEL", key)
    await until(lambda: bus.command("XLEN", KEYS.dead), within_s=60)
    stop.set()
    await sending
    assert await field_values(bus, KEYS.raw, "id") == ids(1)
    ledger = await read_ledger(bus)
    assert (ledger.captured, ledger.dead, ledger.unaccounted) == (5, 1, 0)


async def test_two_ingests_that_live_are_told(spool, bus):
    """Who finds the stream in the hands of another that lives stops, and names it."""
    await RawStream(bus, "another-spool").own()
    rival = Heartbeat(bus, INGEST, "rival", {"spool": "another-spool"})
    await rival.beat()
    stop = asyncio.Event()
    sending = asyncio.create_task(delivery(spool, bus).keep_sending(stop))
    async with asyncio.timeout(20):
        while not sending.done():
            await rival.beat()
            await asyncio.wait([sending], timeout=0.05)
    with pytest.raises(SpoolInUse, match="rival"):
        await sending
    assert await RawStream(bus, "").owner() == "another-spool"


async def test_an_ingest_that_has_just_died_is_waited_for(spool, bus):
    """A heartbeat that does not go on is no rival: when it is over the stream is taken."""
    await RawStream(bus, "another-spool").own()
    await Heartbeat(bus, INGEST, "dead", {"spool": "another-spool"}).beat()
    await add(spool, 1)
    stop = asyncio.Event()
    work = delivery(spool, bus)
    with pytest.raises(BusUnavailable, match="dead"):
        await work._resume()
    await bus.delete(KEYS.worker(INGEST, "dead"))
    stop.set()
    await work.keep_sending(stop)
    assert await field_values(bus, KEYS.raw, "id") == ids(1)


async def test_a_stop_while_redis_is_away_leaves_the_rest_in_the_spool(redis_url, spool):
    """What could not be sent before the stop is sent after the next start."""
    await add(spool, 1)
    async with LossyProxy(redis_url) as proxy, connect(proxy.url) as far, connect(redis_url) as bus:
        proxy.refuses = True
        stop = asyncio.Event()
        stop.set()
        with pytest.raises(Stopped):
            await delivery(spool, far).keep_sending(stop)
        await send_all(spool, bus)
        assert await field_values(bus, KEYS.raw, "id") == ids(1)


async def test_old_rows_of_the_spool_are_let_go(spool, bus):
    """What was sent long ago leaves the spool; what was not sent stays however old."""
    for number in (1, 2, 3):
        await add(spool, number)
    work = delivery(spool, bus)
    stop = asyncio.Event()
    trimming = asyncio.create_task(work.keep_trimmed(0.0, 10**12, stop))
    await asyncio.sleep(0)
    assert len(await spool.after(0, 10)) == 3
    stop.set()
    await trimming
    await work.keep_sending(stop)
    stop.clear()
    trimming = asyncio.create_task(work.keep_trimmed(-(10.0**9), 10**12, stop))
    count = "SELECT count(*) FROM batch"
    await until(lambda: spool._disk.reader.execute(count).fetchone() == (1,))
    stop.set()
    await trimming


async def test_nothing_counts_as_sent_before_redis_has_it(spool, bus, monkeypatch):
    """What Redis refused to take stays in the spool, however old, and is sent later."""
    monkeypatch.setattr(fresh_module, "IN_MEMORY", 0)
    heartbeat = Heartbeat(bus, INGEST, "me")
    work = Delivery(spool, bus, heartbeat)
    stop = asyncio.Event()
    sending = asyncio.create_task(work.keep_sending(stop))
    await add(spool, 1)
    await until(lambda: stands(bus, event(1).id))
    await bus.command("RENAME", KEYS.raw, "aside")
    await bus.command("SET", KEYS.raw, "no stream")
    await add(spool, 2)
    await add(spool, 3)
    await until(lambda: "down" in heartbeat._dependencies["redis"])
    stop_trimming = asyncio.Event()
    trimming = asyncio.create_task(work.keep_trimmed(-(10.0**9), 10**12, stop_trimming))
    await asyncio.sleep(0)
    stop_trimming.set()
    await trimming
    await bus.command("RENAME", "aside", KEYS.raw)
    await until(lambda: stands(bus, event(3).id))
    stop.set()
    await sending
    assert await field_values(bus, KEYS.raw, "id") == ids(1, 2, 3)


async def test_what_has_no_row_is_counted_too(bus, spool):
    """Events that a rule left out reach the ledger though no event follows them."""
    await spool.add([], filtered=7, now_ms=START_MS)
    await send_all(spool, bus)
    ledger = await read_ledger(bus)
    assert (ledger.captured, ledger.filtered, ledger.unaccounted) == (7, 7, 0)


async def test_ingest_stops_before_redis_is_full(spool, tmp_path, monkeypatch):
    """Above 60 % events wait in the spool, and the heartbeat says so; below 55 % they go on."""
    monkeypatch.setattr(deliver_module, "LOOK_EVERY_S", 0.001)
    with RedisServer(tmp_path, maxmemory="6mb") as server:
        async with connect(server.url) as bus:
            big = b'"' + b"x" * 10_000 + b'"'
            batch = [event(n, data=big) for n in range(1, 601)]
            await spool.add(batch, filtered=0, now_ms=START_MS)
            monkeypatch.setattr(deliver_module, "APPENDED_AT_ONCE", 5)
            heartbeat = Heartbeat(bus, INGEST, "me", {"spool": spool.identity})
            work = Delivery(spool, bus, heartbeat)
            stop = asyncio.Event()
            sending = asyncio.create_task(work.keep_sending(stop))

            async def told():
                await heartbeat.beat()
                [pulse] = await read_pulses(bus, INGEST)
                return "full: events wait in the spool" in pulse.dependencies.get("redis", "")

            await until(told, within_s=30)
            assert 0.6 <= await share_of_memory(bus) < 0.8
            assert 0 < await bus.command("XLEN", KEYS.raw) < 600
            await bus.command("CONFIG SET", "maxmemory", "64mb")
            await until(lambda: stands(bus, event(600).id), within_s=30)
            stop.set()
            await sending
            assert await field_values(bus, KEYS.raw, "id") == ids(*range(1, 601))
            assert (await read_ledger(bus)).unaccounted == 0


async def test_a_stop_while_redis_is_full_leaves_the_rest_in_the_spool(spool, bus, monkeypatch):
    """Ingest ends though nobody drains."""

    async def full(_bus):
        return 0.61

    monkeypatch.setattr(deliver_module, "share_of_memory", full)
    await add(spool, 1)
    with pytest.raises(Stopped, match="61% full"):
        await send_all(spool, bus)
    assert await field_values(bus, KEYS.raw, "id") == []


async def test_the_heartbeat_tells_how_large_the_spool_is(spool, bus):
    """What waits, what it takes, what is free: enough to say how long it lasts."""
    await add(spool, *range(1, 11))
    heartbeat = Heartbeat(bus, INGEST, "me", {"spool": spool.identity})
    work = Delivery(spool, bus, heartbeat)
    stop = asyncio.Event()
    telling = asyncio.create_task(work.keep_telling(stop))
    await asyncio.sleep(0)
    await heartbeat.beat()
    [pulse] = await read_pulses(bus, INGEST)
    assert pulse.spool_unsent == 10
    assert 0 < pulse.spool_event_bytes * 10 <= pulse.spool_bytes
    assert pulse.spool_free_bytes > 0
    stop.set()
    await telling
    await send_all(spool, bus, work)
    assert spool.measures()["spool_unsent"] == 0

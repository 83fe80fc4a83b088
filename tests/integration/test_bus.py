"""The bus itself on a real Redis: what its errors mean, its scripts, its hashes, its streams."""

import asyncio

import pytest
import redis.exceptions as redis_errors
from redis.asyncio import Redis

from common.bus import ENRICH, STORE, Keys, RawStream, Streams, Tally, connect
from common.bus.script import source
from common.bus.trim import share_of_memory
from common.errors import BusUnavailable, InvalidSetting, PointRejected
from common.lifecycle import Stopped
from tests.fakes.bus import (
    SPOOL,
    append,
    balanced,
    consumer,
    event,
    events_of,
    fields_of,
    rows,
)
from tests.fakes.lossy_proxy import LossyProxy
from tests.fakes.redis_server import RedisServer
from tests.fakes.servers import free_port
from tests.fakes.until import until

pytestmark = pytest.mark.integration

KEYS = Keys()


@pytest.fixture
async def bus(redis_url):
    async with connect(redis_url) as opened:
        yield opened


async def test_nobody_at_the_address_is_waited_for():
    """A Redis that is not there is unavailable, not an error of its own kind."""
    async with connect(f"redis://127.0.0.1:{free_port()}/0") as bus:
        with pytest.raises(BusUnavailable, match="does not answer"):
            await bus.ping()
        with pytest.raises(BusUnavailable):
            await bus.commands(("PING",))
        with pytest.raises(BusUnavailable):
            await bus.run("purge", ("a", "b"))
        with pytest.raises(BusUnavailable):
            await bus.hashes("*")


async def test_what_is_no_redis_is_said_so():
    """Whoever named the port of something else hears it in words."""

    async def answer(reader, writer):
        await reader.read(10)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await reader.read()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        async with connect(f"redis://127.0.0.1:{port}/0") as bus:
            with pytest.raises(BusUnavailable, match="no Redis; is REDIS_URL right"):
                await bus.ping()


async def test_a_wrong_password_is_a_setting_to_change(tmp_path):
    """Where Redis refuses us no waiting helps."""
    with RedisServer(tmp_path) as server:
        server.ask("CONFIG", "SET", "requirepass", "secret")
        async with connect(server.url.replace("//", "//:wrong@")) as bus:
            with pytest.raises(InvalidSetting, match="REDIS_URL"):
                await bus.ping()
        async with connect(server.url.replace("//", "//:secret@")) as bus:
            await bus.ping()
        async with connect(server.url) as bus:
            with pytest.raises(InvalidSetting, match="REDIS_URL"):
                await bus.ping()
        server.kill()


async def test_a_database_that_is_not_there_is_a_setting_to_change(tmp_path):
    """A number at the end of REDIS_URL that Redis does not have is named."""
    with RedisServer(tmp_path, databases="4") as server:
        async with connect(server.url.replace("/0", "/4")) as bus:
            with pytest.raises(InvalidSetting, match=r"REDIS_URL.*DB index.*such as 0"):
                await bus.ping()
        server.kill()


async def test_a_redis_that_is_too_old_is_a_setting_to_change(bus, monkeypatch):
    """No waiting makes Redis newer: a consumer says at its start which one will do."""
    monkeypatch.setattr("common.bus.consumer.OLDEST_REDIS", (99, 0))
    with pytest.raises(
        InvalidSetting, match=r"REDIS_URL.*this is Redis \d+\.\d+.*Redis 6\.2 or newer"
    ):
        await asyncio.wait_for(anext(aiter(consumer(bus).batches(asyncio.Event()))), 5)


async def test_a_unix_socket_is_an_address_too(tmp_path):
    """Everything works over `unix://`."""
    path = tmp_path / "redis.sock"
    with RedisServer(tmp_path, unixsocket=str(path)):
        async with connect(f"unix://{path}") as bus:
            await append(bus, 1, 2)
            assert (await balanced(bus)).captured == 2


async def test_a_command_is_sent_once(redis_url, bus):
    """An answer that was lost is never followed by a second try behind our back."""
    async with LossyProxy(redis_url) as proxy, connect(proxy.url) as far:
        proxy.lose_answer_to = b"XADD"
        with pytest.raises(BusUnavailable):
            await far.command("XADD", "once", "*", "a", "b")
        proxy.lose_answer_to = b"XADD"
        with pytest.raises(BusUnavailable):
            await far.commands(("XADD", "once", "*", "a", "b"), ("XADD", "once", "*", "a", "b"))
        await far.ping()
    assert await bus.command("XLEN", "once") == 3


async def test_other_refusals_come_through_as_they_are(bus):
    """What neither passes nor is a setting is not disguised."""
    with pytest.raises(redis_errors.ResponseError, match="unknown command"):
        await bus.command("NONSENSE")


async def test_hashes_are_written_read_and_expire(bus):
    """A hash is written whole, found by pattern, and goes when its time is over."""
    await bus.write_hash("ha:x:1", {"a": "ü", "b": b"\xff", "c": 3}, expire_s=100)
    await bus.write_hash("ha:x:2", {"a": "1"})
    assert await bus.read_hash("ha:x:1") == {"a": "ü".encode(), "b": b"\xff", "c": b"3"}
    assert await bus.read_field("ha:x:1", "c") == b"3"
    assert await bus.read_field("ha:x:1", "d") is None
    assert await bus.read_hash("ha:x:3") == {}
    assert list(await bus.hashes("ha:x:*")) == ["ha:x:1", "ha:x:2"]
    assert 0 < await bus.command("TTL", "ha:x:1") <= 100
    assert await bus.command("TTL", "ha:x:2") == -1
    await bus.delete("ha:x:1")
    assert list(await bus.hashes("ha:x:*")) == ["ha:x:2"]


async def test_scripts_survive_that_redis_forgets_them(bus):
    """After SCRIPT FLUSH, or a restart, a script is loaded again and runs once."""
    await append(bus, 1, 1)
    await bus.command("SCRIPT FLUSH")
    raw = RawStream(bus, SPOOL)
    await raw.own()
    await bus.command("SCRIPT FLUSH")
    await raw.append(rows(2, 3), Tally())
    assert (await balanced(bus)).captured == 3


async def test_scripts_run_where_no_flags_are_known(bus, monkeypatch):
    """A server before Redis 7 knows no line `#!lua`: the scripts run without it."""
    loaded = []
    real = Redis.script_load

    async def old(self, text):
        loaded.append(text)
        if text.startswith("#!"):
            raise redis_errors.ResponseError("Error compiling script: unexpected symbol near '#'")
        return await real(self, text)

    monkeypatch.setattr(Redis, "script_load", old)
    await append(bus, 1, 3)
    stop = asyncio.Event()
    reader = consumer(bus)
    async for batch in reader.batches(stop):
        await reader.forward(batch, events_of(batch), KEYS.enriched, stop)
        stop.set()
    assert (await balanced(bus)).enriched == 3
    assert source("move").partition("\n")[2] in loaded


async def test_a_server_that_forgets_at_once_is_unavailable(bus, monkeypatch):
    """A script that is never there when it is called ends as an outage, not as a loop."""

    async def forgetful(_self, _text):
        return "0" * 40

    monkeypatch.setattr(Redis, "script_load", forgetful)
    with pytest.raises(BusUnavailable, match="forgets"):
        await bus.run("purge", ("a", "b"), "1-1")


async def test_a_full_redis_drains(tmp_path):
    """Full, it takes no event, but what the sink said is settled; with room all goes on."""
    with RedisServer(tmp_path, maxmemory="6mb") as server:
        async with connect(server.url) as bus, asyncio.timeout(30):
            raw = await append(bus, 1, 10)
            stop = asyncio.Event()
            readers = {group: consumer(bus, group, batch_size=5) for group in (ENRICH, STORE)}
            hands = {group: reader.batches(stop) for group, reader in readers.items()}
            enriching = await anext(hands[ENRICH])
            await readers[ENRICH].forward(enriching, events_of(enriching), KEYS.enriched, stop)
            enriching = await anext(hands[ENRICH])
            storing = await anext(hands[STORE])
            await bus.command("CONFIG SET", "maxmemory", "1mb")
            with pytest.raises(BusUnavailable, match="maxmemory"):
                await raw.append(rows(11, 12), Tally())
            task = asyncio.create_task(
                readers[ENRICH].forward(enriching, events_of(enriching), KEYS.enriched, stop)
            )
            await readers[STORE].settle(storing, {2: PointRejected("bad")}, stop)
            ledger = await balanced(bus)
            assert (ledger.stored, ledger.dead, ledger.enriched, ledger.in_flight) == (4, 1, 5, 5)
            assert not task.done()
            await bus.command("CONFIG SET", "maxmemory", "64mb")
            await task
            await raw.own()
            await raw.append(rows(11, 12), Tally())
            ledger = await balanced(bus)
            assert (ledger.enriched, ledger.captured) == (10, 12)
            for hand in hands.values():
                await hand.aclose()


async def test_a_stop_while_redis_is_full_is_in_order(tmp_path):
    """A forward that waits for room ends as soon as it is stopped, and nothing is lost."""
    with RedisServer(tmp_path, maxmemory="6mb") as server:
        async with connect(server.url) as bus:
            await append(bus, 1, 3)
            stop = asyncio.Event()
            reader = consumer(bus)
            batches = reader.batches(stop)
            batch = await anext(batches)
            await bus.command("CONFIG SET", "maxmemory", "1mb")
            stop.set()
            with pytest.raises(Stopped):
                await reader.forward(batch, events_of(batch), KEYS.enriched, stop)
            await batches.aclose()
            assert (await balanced(bus)).in_flight == 3


async def test_a_stream_is_described_for_people(bus):
    """Length, ids, groups, lag and consumers are what Redis says; no stream is an empty one."""
    streams = Streams(bus)
    empty = await streams.info("raw")
    assert (empty.length, empty.first_id, empty.last_id, empty.groups) == (0, None, None, [])
    await append(bus, 1, 10)
    stop = asyncio.Event()
    reader = consumer(bus, name="attic", batch_size=4)
    batches = reader.batches(stop)
    await anext(batches)
    told = await streams.info("raw")
    assert (told.name, told.key, told.length, told.entries_added) == ("raw", KEYS.raw, 10, 10)
    assert told.memory_bytes > 0
    assert (told.first_id[-2:], told.last_id[-3:]) == ("-1", "-10")
    [group] = told.groups
    assert (group.name, group.pending, group.lag) == ("enrich", 4, 6)
    assert group.last_delivered_id.endswith("-4")
    assert [(c.name, c.pending) for c in group.consumers] == [("attic", 4)]
    await batches.aclose()


async def test_the_age_of_a_backlog_is_that_of_its_oldest_entry(bus):
    """A group that has everything acknowledged has no lag; else its oldest open entry counts."""
    await bus.command("XADD", KEYS.enriched, "1000-1", *fields_of(event(1)))
    await bus.command("XADD", KEYS.enriched, "2000-1", *fields_of(event(2)))
    await bus.command("XGROUP", "CREATE", KEYS.enriched, STORE, "0")
    streams = Streams(bus)

    async def lag_s():
        return (await streams.info("enriched")).groups[0].lag_s

    unread = await lag_s()
    await bus.command("XREADGROUP", "GROUP", STORE, "me", "STREAMS", KEYS.enriched, ">")
    pending = await lag_s()
    assert unread > 50 * 365 * 86_400
    assert pending >= unread
    await bus.command("XACK", KEYS.enriched, STORE, "1000-1")
    assert await lag_s() < pending
    await bus.command("XACK", KEYS.enriched, STORE, "2000-1")
    assert await lag_s() == 0.0


async def test_entries_are_paged_in_both_directions(bus):
    """The newest first with `before`, or what follows an id, oldest first."""
    await append(bus, 1, 5)
    streams = Streams(bus)
    newest = await streams.newest("raw", 2)
    assert [entry.fields["id"] for entry in newest] == [event(5).id, event(4).id]
    older = await streams.newest("raw", 10, before=newest[-1].entry_id)
    assert [entry.fields["id"] for entry in older] == [event(n).id for n in (3, 2, 1)]
    following = await streams.after("raw", older[0].entry_id, 1)
    assert [entry.fields["id"] for entry in following] == [event(4).id]
    assert await streams.newest("dead", 3) == []


async def test_what_a_person_hands_in_is_counted(bus):
    """An injected event stands in the inbox, and is captured."""
    entry_id = await Streams(bus).inject(event(1))
    [entry] = await Streams(bus).newest("inbox", 10)
    assert entry.entry_id == entry_id
    ledger = await balanced(bus)
    assert (ledger.captured, ledger.in_flight) == (1, 1)


async def test_a_server_without_memory_usage_is_described_all_the_same(bus, monkeypatch):
    """Where the server cannot tell how much a stream takes, nothing is claimed."""
    await append(bus, 1, 1)
    real = bus.command

    async def lacking(*words):
        if words[0] == "MEMORY USAGE":
            raise redis_errors.ResponseError("unknown command 'MEMORY'")
        return await real(*words)

    monkeypatch.setattr(bus, "command", lacking)
    assert (await Streams(bus).info("raw")).memory_bytes is None


async def test_a_key_that_is_no_stream_is_not_described_as_one(bus):
    """Where something else stands in a stream's place, nobody is told of an empty stream."""
    await bus.command("SET", KEYS.raw, "not a stream")
    with pytest.raises(BusUnavailable, match=f"RENAME {KEYS.raw}"):
        await Streams(bus).info("raw")


async def test_a_server_that_does_not_tell_its_memory_is_not_full(bus, monkeypatch):
    """A server without INFO, as fakeredis, has no share of memory in use."""

    async def lacking(*_words):
        raise redis_errors.ResponseError("unknown command 'INFO'")

    monkeypatch.setattr(bus, "command", lacking)
    assert await share_of_memory(bus) == 0.0


async def test_an_outage_is_over_when_redis_is_back(tmp_path):
    """The same bus works again after a restart of the server, on the same port."""
    with RedisServer(tmp_path) as server:
        async with connect(server.url) as bus:
            await bus.ping()
            server.kill()
            with pytest.raises(BusUnavailable):
                await bus.ping()
            server.start()

            async def back():
                try:
                    await bus.ping()
                except BusUnavailable:
                    return False
                return True

            await until(back)


async def test_a_cancelled_command_ends_its_task(bus):
    """A cancellation is never swallowed, or a TaskGroup would wait for the task for ever."""

    async def ask_once(begun):
        begun.set()
        await bus.ping()
        await asyncio.Event().wait()

    await bus.ping()
    for _ in range(20):
        begun = asyncio.Event()
        task = asyncio.create_task(ask_once(begun))
        await begun.wait()
        task.cancel()
        done, _ = await asyncio.wait([task], timeout=5)
        assert done
        assert task.cancelled()


async def test_a_ledger_of_another_type_stops_every_effect(bus):
    """What cannot be counted is not done: no move, acknowledgement, hand-in, purge or replay."""
    await append(bus, 1, 1)
    reader = consumer(bus, ENRICH)
    batch = await anext(reader.batches(asyncio.Event()))
    await bus.delete(KEYS.ledger)
    await bus.command("SET", KEYS.ledger, "x")
    letter_id = await bus.command("XADD", KEYS.dead, "*", "id", "x")
    held = batch[0].entry_id
    effects = {
        "move": (
            (KEYS.raw, KEYS.enriched, KEYS.dead, KEYS.ledger),
            (ENRICH, "me", held, held, 1, "next", held, 2, "id", "x"),
        ),
        "acknowledge": ((KEYS.raw, KEYS.ledger), (ENRICH, "stored", held)),
        "inject": ((KEYS.inbox, KEYS.ledger), ("id", "x")),
        "purge": ((KEYS.dead, KEYS.ledger, KEYS.audit), (0, letter_id)),
        "replay": ((KEYS.dead, KEYS.inbox, KEYS.ledger, KEYS.audit), (letter_id, 0, "id", "x")),
    }
    for script, (keys, args) in effects.items():
        with pytest.raises(BusUnavailable, match="ha:ledger"):
            await bus.run(script, keys, *args)
    assert (await bus.command("XPENDING", KEYS.raw, ENRICH))[0] == 1
    for key, length in ((KEYS.enriched, 0), (KEYS.inbox, 0), (KEYS.dead, 1)):
        assert await bus.command("XLEN", key) == length

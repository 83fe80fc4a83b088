"""Replay jobs on a real Redis: each letter once, whatever happens to whoever runs them."""

import asyncio
import contextlib

import httpx
import pytest
from msgspec.structs import replace

from admin.jobs import Runner, end_job, run_job, start_job
from common.bus import DeadLetters, Deed, Filter, Keys, Replays, Who, connect
from common.errors import BusUnavailable, CountChanged, InvalidSetting, ReplayNotFound
from tests.fakes.bus import balanced, field_values, flat_of
from tests.fakes.lossy_proxy import LossyProxy
from tests.fakes.servers import free_port
from tests.fakes.until import until
from tests.fakes.worker_process import WorkerProcesses

pytestmark = pytest.mark.integration

KEYS = Keys()
ME = Who("me", "cli", "here")
TOKEN = "a-token-that-is-long-enough"


@pytest.fixture
async def bus(redis_url):
    async with connect(redis_url) as opened:
        yield opened


async def fall(bus, count, stage="enrich", reason="point_rejected", first=0):
    """Add letters as a worker would, and count them."""
    added = []
    for start in range(first, first + count, 1000):
        commands = []
        for number in range(start, min(start + 1000, first + count)):
            fields = {
                b"v": b"1",
                b"id": f"event-{number}".encode(),
                b"entity_id": b"sensor.a",
                b"data": b"{}",
                b"dead_stage": stage.encode(),
                b"dead_reason": reason.encode(),
                b"dead_error": b"no",
                b"dead_fingerprint": b"x",
            }
            commands.append(("XADD", KEYS.dead, "*", *flat_of(fields)))
        added += await bus.commands(*commands)
    for counter in ("captured", "dead", "buried"):
        await bus.command("HINCRBY", KEYS.ledger, counter, count)
    return [one.decode() for one in added]


async def job_for(bus, letters=None, wanted=Filter(), ids=None, **how):  # noqa: B008 - frozen
    """Start a job for the letters of a filter."""
    letters = letters or DeadLetters(bus)
    chosen = ids or await letters.ids(wanted)
    told = {"rate": 0.0, "force": False, "expected": None, "who": ME, **how}
    return await start_job(Replays(bus), wanted, chosen, named=ids is not None, **told)


async def replayed_once(bus, numbers):
    """Whether each of these events stands exactly once behind the dead letters."""
    ids = [
        *await field_values(bus, KEYS.inbox, "id"),
        *await field_values(bus, KEYS.enriched, "id"),
    ]
    assert sorted(ids) == sorted(f"event-{number}" for number in numbers)
    assert set(await field_values(bus, KEYS.inbox, "replays")) <= {"1"}


async def test_a_job_puts_each_letter_back_where_it_fell(bus):
    """Letters of `store` go to `enriched`, the others to the inbox, without their burial."""
    await fall(bus, 450)
    await fall(bus, 50, stage="store", first=450)
    letters, replays = DeadLetters(bus), Replays(bus)
    job = await job_for(bus, letters)
    told = []
    await run_job(job, replays, letters, ME, "a", told=told.append)
    await replayed_once(bus, range(500))
    assert await bus.command("XLEN", KEYS.enriched) == 50
    [(_, fields), *_] = await bus.command("XRANGE", KEYS.inbox, "-", "+", "COUNT", 1)
    assert set(fields) == {b"v", b"id", b"entity_id", b"data", b"replays"}
    assert sum(told) == 500
    done = await replays.get(job.job)
    assert (done.state, done.replayed, done.gone, done.left) == ("done", 500, 0, 0)
    assert (await balanced(bus)).replayed == 500
    lines = await field_values(bus, KEYS.audit, "action")
    assert lines == ["replay_many", "replay_done"]
    assert await field_values(bus, KEYS.audit, "count") == ["500", "500"]
    assert await replays.running() == []


async def test_a_job_is_for_the_letters_that_were_there(bus):
    """What falls again while the job runs is not put back again: poison never loops."""
    await fall(bus, 3)
    letters = DeadLetters(bus)
    job = await job_for(bus, letters)
    later = await fall(bus, 2, first=3)
    await run_job(job, Replays(bus), letters, ME, "a")
    await replayed_once(bus, range(3))
    assert await letters.ids(Filter()) == later


@pytest.mark.parametrize("text", [None, "event-1"])
async def test_a_job_takes_only_what_its_filter_means(bus, text):
    """The filter counts, with or without text; expired letters stay unless forced."""
    await fall(bus, 10)
    await fall(bus, 5, reason="outside_retention", first=10)
    letters = DeadLetters(bus)
    wanted = Filter(stage="enrich", text=text)
    job = await job_for(bus, letters, wanted)
    await run_job(job, Replays(bus), letters, ME, "a")
    found = await Replays(bus).get(job.job)
    numbers = range(10) if text is None else [1]
    await replayed_once(bus, numbers)
    assert (found.replayed, found.expired) == (len(numbers), 5)
    left = await letters.ids(wanted)
    assert len(left) == 5
    job = await job_for(bus, letters, ids=left[:2], force=True)
    await run_job(job, Replays(bus), letters, ME, "a")
    assert (await Replays(bus).get(job.job)).replayed == 2


async def test_eight_jobs_at_once_replay_each_letter_once(redis_url, bus):
    """However many jobs in however many processes are for the same letters, each goes once."""
    await fall(bus, 5000)
    jobs = [await job_for(bus) for _ in range(8)]

    async def run(job):
        async with connect(redis_url) as own:
            await run_job(job, Replays(own), DeadLetters(own), ME, job.job)

    await asyncio.gather(*map(run, jobs))
    await replayed_once(bus, range(5000))
    found = [await Replays(bus).get(job.job) for job in jobs]
    assert {job.state for job in found} == {"done"}
    assert sum(job.replayed for job in found) == 5000
    assert all(job.replayed + job.gone == 5000 for job in found)
    assert (await balanced(bus)).replayed == 5000


async def test_a_killed_admin_goes_on_where_it_was(tmp_path, redis_url, bus):
    """kill -9 in the middle of a job: after a restart it goes on by itself, each letter once."""
    await fall(bus, 2000)
    port = free_port()
    url = f"http://127.0.0.1:{port}/api/v1"
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    admin = WorkerProcesses(tmp_path, REDIS_URL=redis_url, ADMIN_PORT=str(port), ADMIN_TOKEN=TOKEN)
    async with httpx.AsyncClient(headers=bearer) as client:

        async def asked(method, path, **body):
            with contextlib.suppress(httpx.TransportError):
                return await client.request(method, url + path, **body)

        admin.start("admin")
        await until(lambda: asked("GET", "/ledger"), what="admin")
        how = {"json": {"rate": 2000, "expected_count": 2000}}
        job = (await asked("POST", "/dead-letters/replay", **how)).json()["job"]

        async def state():
            answer = await asked("GET", f"/replays/{job}")
            return answer and answer.json()

        async def has_begun():
            return (await state())["replayed"] > 100

        await until(has_begun, what="a part of the job")
        admin.kill("admin")
        before = await bus.command("XLEN", KEYS.inbox)
        assert 100 < before < 2000
        admin.start("admin")

        async def is_done():
            found = await state()
            return found and found["state"] == "done"

        await until(is_done, within_s=60, what="the end of the job")
        assert (await state())["replayed"] == 2000
        assert await admin.stop() == {"admin": 0}
    await replayed_once(bus, range(2000))
    assert (await balanced(bus)).dead == 0


async def test_a_cancelled_job_stops(bus):
    """What was put back stays; nothing more is, and it cannot be ended twice."""
    await fall(bus, 1000)
    letters, replays = DeadLetters(bus), Replays(bus)
    runner = Runner(bus, letters, ME, "a")
    stop = asyncio.Event()
    running = asyncio.create_task(runner.keep_running(stop))
    job = await job_for(bus, letters, rate=100)
    runner.look()

    async def begun():
        return (await replays.get(job.job)).replayed > 0

    await until(begun, what="the first letters")
    assert await end_job(job, replays, "cancelled", ME)
    assert not await end_job(job, replays, "done", ME)
    after = (await replays.get(job.job)).replayed
    stop.set()
    await running
    found = await replays.get(job.job)
    assert (found.state, found.replayed) == ("cancelled", after)
    assert after < 1000
    assert (await balanced(bus)).dead == 1000 - after


async def test_two_who_run_one_job_do_not_run_it_together(bus):
    """While somebody runs a job, another leaves it; once he is silent, another goes on."""
    await fall(bus, 5)
    ids = await DeadLetters(bus).ids(Filter())
    replays = Replays(bus)
    job = await job_for(bus)
    assert (await replays.step(job, ids[:1], "a", "now", 1_000_000)).replayed == 1
    assert (await replays.step(job, ids[1:2], "b", "now", 1_001_000)).state == "taken"
    assert (await replays.step(job, ids[1:2], "a", "now", 1_001_000)).replayed == 1
    assert (await replays.step(job, ids[1:3], "b", "now", 1_020_000)).gone == 1


async def test_an_answer_that_was_lost_replays_nothing_twice(redis_url, bus):
    """The connection breaks in the middle of a step: the job is run again, each letter once."""
    await fall(bus, 500)
    async with LossyProxy(redis_url) as proxy, connect(proxy.url) as far:
        letters, replays = DeadLetters(far), Replays(far)
        job = await job_for(far, letters)
        step = replays.step

        async def broken(*words):
            proxy.lose_answer_to = b"EVALSHA"
            return await step(*words)

        replays.step = broken
        with pytest.raises(BusUnavailable):
            await run_job(job, replays, letters, ME, "a")
        replays.step = step
        await run_job(await replays.get(job.job), replays, letters, ME, "a")
    await replayed_once(bus, range(500))
    assert (await balanced(bus)).replayed == 500


async def test_a_target_that_takes_nothing_stops_the_job_in_time(bus):
    """When the stream refuses, what was not appended stays a letter, and the job can go on."""
    await fall(bus, 3)
    await fall(bus, 3, stage="store", first=3)
    await bus.command("SET", KEYS.enriched, "no stream")
    letters, replays = DeadLetters(bus), Replays(bus)
    job = await job_for(bus, letters)
    with pytest.raises(BusUnavailable):
        await run_job(job, replays, letters, ME, "a")
    found = await replays.get(job.job)
    assert (found.state, found.replayed, found.left) == ("running", 3, 3)
    await bus.command("DEL", KEYS.enriched)
    await run_job(found, replays, letters, ME, "a")
    await replayed_once(bus, range(6))


async def test_another_count_starts_nothing(bus):
    """When other letters match than the person saw, nothing is written down."""
    await fall(bus, 3)
    with pytest.raises(CountChanged) as changed:
        await job_for(bus, expected=2)
    assert changed.value.count == 3
    assert await Replays(bus).newest(10) == []
    with pytest.raises(ReplayNotFound):
        await Replays(bus).get("1-00000000")


@pytest.mark.parametrize("key", [KEYS.audit, KEYS.replays, KEYS.replays_running])
async def test_a_job_that_nobody_could_be_told_of_is_not_begun(bus, key):
    """Where its line in the audit cannot be written, or its name not kept, nothing is done."""
    await fall(bus, 2)
    await bus.command("SET", key, "mine")
    with pytest.raises(BusUnavailable, match=f"{key} holds a string"):
        await job_for(bus)
    await bus.command("DEL", key)
    assert await bus.command("KEYS", KEYS.replay("*")) == []
    assert await Replays(bus).running() == []


async def test_a_job_ends_only_with_its_line_in_the_audit(bus):
    """While the line cannot be written the job runs on, and then ends as if nothing had been."""
    job = await job_for(bus)
    replays = Replays(bus)
    await bus.command("RENAME", KEYS.audit, "aside")
    await bus.command("SET", KEYS.audit, "mine")
    with pytest.raises(BusUnavailable, match=f"{KEYS.audit} holds a string"):
        await end_job(job, replays, "cancelled", ME)
    assert [one.job for one in await replays.running()] == [job.job]
    await bus.command("RENAME", "aside", KEYS.audit)
    assert await end_job(job, replays, "cancelled", ME)
    assert await replays.running() == []


async def test_a_job_that_fails_says_why(bus, monkeypatch):
    """What waiting cannot mend ends the job, with its cause; the letters stay where they are."""
    await fall(bus, 2)
    letters = DeadLetters(bus)
    job = await job_for(bus, letters)

    async def refuses(*_, **__):
        raise InvalidSetting("REDIS_URL: Redis refuses us")

    monkeypatch.setattr(Replays, "step", refuses)
    runner, stop = Runner(bus, letters, ME, "a"), asyncio.Event()
    running = asyncio.create_task(runner.keep_running(stop))

    async def failed():
        return (await Replays(bus).get(job.job)).state == "failed"

    await until(failed, what="the end of the job")
    stop.set()
    await running
    assert (await Replays(bus).get(job.job)).error == "REDIS_URL: Redis refuses us"
    assert len(await letters.ids(Filter())) == 2
    assert await field_values(bus, KEYS.audit, "action") == ["replay_many", "replay_failed"]


async def test_jobs_of_one_millisecond_are_all_listed(bus):
    """A page ends between any two jobs, and the next goes on behind it."""
    names = [f"1795189957539-0000000{number}" for number in range(5)]
    for name in names:
        job = replace(await job_for(bus), job=name)
        deed = Deed(who=ME, at="", action="replay_many", count=0)
        await Replays(bus).start(job, deed, 1_795_189_957_539)
    listed, after = [], None
    while page := await Replays(bus).newest(2, after):
        listed += [job.job for job in page]
        after = listed[-1]
    assert [name for name in listed if name in names] == names[::-1]
    assert len(set(listed)) == len(listed) == 10


async def test_jobs_are_listed_newest_first(bus):
    """Page by page, each job once; a job whose hash is gone is passed over."""
    names = []
    for _ in range(3):
        names.append((await job_for(bus)).job)
        await asyncio.sleep(0.002)  # names begin with the millisecond
    replays = Replays(bus)
    first = await replays.newest(2)
    rest = await replays.newest(2, first[-1].job)
    assert [job.job for job in [*first, *rest]] == names[::-1]
    await bus.command("DEL", KEYS.replay(names[1]))
    assert [job.job for job in await replays.newest(5)] == [names[2], names[0]]
    assert await replays.newest(5, "1-00000000") == []
    assert {job.job for job in await replays.running()} == {names[0], names[2]}

"""Dead letters are replayed by many at once, by a desk that is killed, and in vain."""

import asyncio
import json
from contextlib import asynccontextmanager
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import pytest

from tests.fakes.servers import free_port
from tests.fakes.until import until
from tests.faults.child import Child
from tests.faults.fault import fault, params_of
from tests.faults.pipeline import pairs_of

pytestmark = [pytest.mark.faults, pytest.mark.asyncio(loop_scope="module")]


class Desk(Child):
    """The admin worker, as a process."""

    def __init__(self, pipeline):
        store = pipeline.workers["store"]
        self.port, self.token = free_port(), "canary-desk-0123456789"
        pipeline.secrets["ADMIN_TOKEN"] = self.token
        environment = {
            **store.environment,
            "ADMIN_PORT": str(self.port),
            "ADMIN_TOKEN": self.token,
            "WORKER_NAME": "desk",
        }
        command = [store.command[0], "-m", "admin"]
        super().__init__("admin", command, environment, pipeline.folder)

    async def replay(self, letter_id):
        """Put one letter back; the status, 0 when nobody answered."""
        url = f"http://127.0.0.1:{self.port}/api/v1/dead-letters/{letter_id}/replay"
        return await asyncio.to_thread(self._asked, url, b"{}")

    async def answers(self):
        """Whether it serves."""
        return await asyncio.to_thread(self._asked, f"http://127.0.0.1:{self.port}/healthz") == 200

    def _asked(self, url, body=None):
        request = Request(url, body, {"Authorization": f"Bearer {self.token}"})  # noqa: S310 - ours
        if body is not None:
            request.add_header("Content-Type", "application/json")
        try:
            with urlopen(request, timeout=20) as reply:  # noqa: S310 - our own server
                json.load(reply)
                return reply.status
        except HTTPError as error:
            return error.code
        except (URLError, OSError):
            return 0


@asynccontextmanager
async def desk_for(pipeline):
    """A desk that serves."""
    desk = Desk(pipeline)
    desk.start()
    try:
        await until(desk.answers, 40, "admin to serve")
        yield desk
    finally:
        await desk.end()


async def letters(pipeline, count):
    """Let InfluxDB refuse so many points; the ids of their letters. They stay refused."""
    await pipeline.drained()
    await pipeline.influxdb("take_at_most", size=5)
    bad = await pipeline.happen(count)
    pipeline.expected_dead |= bad

    async def buried():
        return bad <= await pipeline.dead()

    await until(buried, 60, "letters")
    return await ids(pipeline)


async def ids(pipeline):
    """Ids of the letters that there are."""
    entries = await pipeline.bus.command("XRANGE", "ha:dead", "-", "+")
    return [entry_id.decode() for entry_id, _ in entries]


@fault("F68", "eight people replay the same letters at once")
async def eight_replay(pipeline):
    listed = await letters(pipeline, 60)
    await pipeline.influxdb("behave")
    async with desk_for(pipeline) as desk:

        async def one_person(turn):
            mine = listed[turn * 7 :] + listed[: turn * 7]
            return [await desk.replay(letter_id) for letter_id in mine]

        answers = await asyncio.gather(*(one_person(turn) for turn in range(8)))
    statuses = [status for each in answers for status in each]
    done = statuses.count(200)
    assert done == len(listed), (done, len(listed), sorted(set(statuses)))
    assert set(statuses) <= {200, 404}, set(statuses)
    return f"{len(statuses)} requests replayed {done} of {len(listed)} letters"


@fault("F04", "admin is killed while it replays")
async def admin_killed(pipeline):
    listed = await letters(pipeline, 60)
    await pipeline.influxdb("behave")
    async with desk_for(pipeline) as desk:
        half = asyncio.create_task(_all(desk, listed))
        await until(lambda: len(replayed) > 10, 30, "some letters to be replayed")
        desk.kill()
        await half
        desk.start()
        await until(desk.answers, 40, "admin to serve again")
        left = await ids(pipeline)
        await _all(desk, left)
    replayed.clear()
    assert left
    assert not await ids(pipeline)
    return f"killed when {len(listed) - len(left)} of {len(listed)} letters were replayed"


replayed: list[str] = []
"""Letters that were answered 200."""


async def _all(desk, listed):
    for letter_id in listed:
        if await desk.replay(letter_id) == 200:
            replayed.append(letter_id)  # noqa: PERF401 - somebody looks at it meanwhile


@fault("F67", "letters are replayed that are refused again")
async def still_poison(pipeline):
    listed = await letters(pipeline, 20)
    dead = await pipeline.dead()
    async with desk_for(pipeline) as desk:
        for letter_id in listed:
            assert await desk.replay(letter_id) == 200

        async def back():
            return await pipeline.dead() == dead and not set(await ids(pipeline)) & set(listed)

        await until(back, 40, "the letters to come back")
    entries = await pipeline.bus.command("XRANGE", "ha:dead", "-", "+")
    times = [dict(pairs_of(fields)).get(b"replays") for _, fields in entries]
    assert times.count(b"1") >= len(listed) - 1, times
    return f"{len(listed)} letters came back, each replayed once"


@fault("F69", "letters are replayed while InfluxDB is away")
async def replayed_in_vain(pipeline):
    listed = await letters(pipeline, 30)
    await pipeline.influxdb("behave")
    await pipeline.links["influxdb"].down()
    await pipeline.home("set_rate", rate=pipeline.setup.rate)
    async with desk_for(pipeline) as desk:
        for letter_id in listed:
            assert await desk.replay(letter_id) == 200
    await pipeline.lives(0.5, 1.0)
    assert not set(await ids(pipeline)) & set(listed)
    waiting = (await pipeline.ledger()).in_flight
    assert waiting >= len(listed), "they did not wait for InfluxDB"
    return f"{len(listed)} letters waited among {waiting} events until InfluxDB was back"


@fault("F75", "letters of a newer and of an older habus are replayed, and refused again")
async def of_another_version(pipeline):
    old = await letters(pipeline, 2)
    for letter_id, of_another in zip(old[-2:], (newer, older), strict=True):
        [(_, flat)] = await pipeline.bus.command("XRANGE", "ha:dead", letter_id, letter_id)
        fields = of_another(dict(pairs_of(flat)))
        named = [part for pair in fields.items() for part in pair]
        await pipeline.bus.commands(
            ("XADD", "ha:dead", "*", *named), ("XDEL", "ha:dead", letter_id), atomic=True
        )
    changed = (await ids(pipeline))[-2:]
    async with desk_for(pipeline) as desk:
        for letter_id in changed:
            assert await desk.replay(letter_id) == 200

        async def back():
            return len(await ids(pipeline)) == len(old) and not set(await ids(pipeline)) & set(
                changed
            )

        await until(back, 40, "the letters to come back")
    entries = await pipeline.bus.command("XRANGE", "ha:dead", "-", "+")
    found = [dict(pairs_of(flat)) for _, flat in entries[-2:]]
    kept = [fields.get(b"of_tomorrow") for fields in found]
    assert sorted(map(str, kept)) == ["None", "b'kept'"], kept
    assert [b"v" in fields for fields in found].count(False) == 1
    return "a field that nobody knows was kept, and an entry without a version was read"


def newer(fields):
    """As a later habus may write it: with a field that this one does not know."""
    return {**fields, b"of_tomorrow": b"kept"}


def older(fields):
    """As it may have been before there were versions and homes."""
    return {name: text for name, text in fields.items() if name not in {b"v", b"source"}}


@pytest.mark.parametrize("fault", params_of(__name__))
async def test_survives(ground, fault):
    """Whatever happens while letters are replayed, each event ends stored or dead, once."""
    await ground.survive(fault)

"""Home Assistant and ingest part: what was missed meanwhile is fetched, or told as a gap."""

import asyncio
import time

import pytest

from common.heartbeat import read_pulses
from tests.fakes.until import until
from tests.faults.fault import fault, params_of
from tests.faults.pipeline import Setup, us_of

pytestmark = [pytest.mark.faults, pytest.mark.asyncio(loop_scope="module")]

HISTORY = Setup(owes_history=True)


async def missed(pipeline, least=20):
    """How many changes nobody was told of; must be many for the fault to have happened."""
    pipeline.account.read_on()
    since = pipeline.account.since_n
    count = sum(not c.sent and c.n > since for c in pipeline.account.changes.values())
    assert count >= least, f"only {count} changes were missed"
    return count


async def reconnected(pipeline, said):
    """Wait until ingest is connected anew and fetches what it missed."""
    await until(lambda: said("Connected to Home Assistant"), 45, "ingest to connect again")
    await pipeline.subscribed()


@fault("F01", "ingest is killed", HISTORY)
async def ingest_killed(pipeline):
    pipeline.workers["ingest"].kill()
    await pipeline.lives(0.5, 1.5)
    pipeline.workers["ingest"].start()
    await pipeline.subscribed()
    return f"{await missed(pipeline)} changes happened while nobody listened"


@fault("F08", "all workers and Redis are killed at once", HISTORY)
async def all_killed(pipeline):
    for worker in pipeline.workers.values():
        worker.kill()
    pipeline.redis.kill()
    await pipeline.lives(0.2, 0.6)
    await pipeline.start_redis()
    for worker in pipeline.workers.values():
        worker.start()
    await pipeline.subscribed()
    return f"all were killed; {await missed(pipeline)} changes happened meanwhile"


@fault("F43", "Home Assistant restarts, and comes back entity by entity", HISTORY)
async def restarts(pipeline):
    said = pipeline.hears("ingest")
    await pipeline.home("restart", down_s=1.5, starting_s=1.0)
    await until(lambda: said("Lost Home Assistant"), 20, "ingest to lose Home Assistant")
    await reconnected(pipeline, said)

    async def runs():
        return (await pipeline.home("status"))["phase"] == "RUNNING"

    await until(runs, 30, "Home Assistant to run")
    return "the socket was closed, connections were refused, and it came back"


@fault("F44", "the way to Home Assistant is silent, nothing is closed", HISTORY)
async def half_open(pipeline):
    said = pipeline.hears("ingest")
    pipeline.links["home"].hold()
    await until(lambda: said("Lost Home Assistant"), 40, "ingest to notice")
    pipeline.links["home"].cut()
    pipeline.links["home"].let_go()
    await reconnected(pipeline, said)
    return "ingest noticed by itself, by a ping without a pong"


@fault("F27c", "the connection to Home Assistant is cut three times", HISTORY)
async def home_cut(pipeline):
    cut = 0
    for _ in range(3):
        cut += pipeline.links["home"].cut()
        await pipeline.lives(0.3, 0.9)
    await pipeline.subscribed()
    assert cut
    return f"{cut} connections were cut"


@fault("F45", "the token is refused, ingest stops; it is accepted again", HISTORY)
async def token_refused(pipeline):
    ingest = pipeline.workers["ingest"]
    before = pipeline.links["home"].happened["accepted"]
    await pipeline.home("refuse_token")
    code = await ingest.ended(30)
    ingest.start()  # as a service manager does: it must not try again
    await ingest.ended(30)
    tried = pipeline.links["home"].happened["accepted"] - before
    assert tried == 1, f"a refused token was tried {tried} times"
    await pipeline.home("accept_token")
    (pipeline.folder / "spool" / "spool.db.refused").unlink()
    ingest.start()
    await pipeline.subscribed()
    return f"ingest ended with {code} after one try, also when started again"


@fault("F46", "Home Assistant sends what nobody asked for")
async def unasked(pipeline):
    kinds = (
        *("unknown_result", "unknown_event", "unasked_pong", "unknown_type", "no_type", "number"),
        *("null", "empty_list", "list_of_numbers", "unserializable_event"),
    )
    for kind in kinds:
        await pipeline.home("send_rubbish", kind=f'"{kind}"')
        await pipeline.lives(0.02, 0.05)
    assert (await pipeline.home("status"))["subscribed"] == 1, "the conversation was broken"
    return f"{len(kinds)} kinds of messages"


@fault("F46b", "Home Assistant sends frames that are no JSON", HISTORY)
async def no_json(pipeline):
    kinds = ("not_json", "truncated", "bad_utf8", "deep", "binary")
    lost = 0
    for kind in kinds:
        await pipeline.subscribed()
        said = pipeline.hears("ingest")
        await pipeline.home("send_rubbish", kind=f'"{kind}"')
        await until(lambda s=said: s("Lost Home Assistant"), 20, f"ingest to hang up at {kind}")
        lost += 1
        await reconnected(pipeline, said)
    return f"ingest hung up {lost} times and came back"


@fault("F49", "Home Assistant sends events that are none", HISTORY)
async def malformed(pipeline):
    readable = (  # what can be read of some is an event of its own: the next time it is a double
        *("no_new_state", "new_state_text", "new_state_list", "new_state_empty", "no_state"),
        *("state_number", "state_null", "attributes_list", "attributes_null", "no_last_updated"),
        *("entity_id_without_dot", "no_event", "huge_number"),
        "surrogate",  # last: ingest hangs up, as that is no JSON
    )
    unreadable = (
        *("entity_id_null", "entity_id_number", "no_time", "bad_time", "time_number"),
        *("data_null", "data_list", "event_type_null", "event_null"),
    )
    buried_once = ("no_new_state", "entity_id_without_dot")
    before = await pipeline.count("dead")
    odd = us_of("2026-11-20T15:44:33.435789+00:00")
    is_first = (odd, "odd") not in pipeline.account.strangers
    to_bury = len(unreadable) + len(buried_once) * is_first
    pipeline.account.strangers |= {(odd, name) for name in ("sensor.odd", "odd", "")}
    for kind in unreadable + readable:
        await pipeline.home("send_rubbish", kind=f'"{kind}"')
        await pipeline.lives(0.01, 0.03)

    async def buried():
        return await pipeline.count("dead") >= before + to_bury

    await until(buried, 30, "the malformed events to be buried")
    dead = await pipeline.count("dead") - before
    return f"{len(unreadable + readable)} kinds, {dead} dead letters"


@fault("F50", "the answer to get_states has 5 MB", HISTORY)
async def big_states(pipeline):
    await pipeline.home("misbehave", states_mb=5)
    said = pipeline.hears("ingest")
    pipeline.links["home"].cut()
    await reconnected(pipeline, said)
    await pipeline.lives(1.0)
    assert (await pipeline.home("status"))["subscribed"] == 1, "ingest does not bear large states"
    return "ingest read 5 MB of states and stayed"


@fault("F51", "every event comes twice")
async def twice(pipeline):
    before = (await pipeline.ledger()).duplicates
    await pipeline.home("misbehave", twice=True)
    await pipeline.lives(1.0, 1.5)
    await pipeline.home("misbehave", twice=False)
    doubles = (await pipeline.ledger()).duplicates - before
    assert doubles > 50
    return f"{doubles} came a second time"


@fault("F51b", "events come shuffled")
async def shuffled(pipeline):
    await pipeline.home("misbehave", window=60)
    await pipeline.lives(1.0, 1.5)
    # What is gathered goes out with the next that happens.
    await pipeline.home("misbehave", window=0)
    await pipeline.lives(0.3)
    return "60 at a time were shuffled"


@fault("F51c", "events come half a second late")
async def late(pipeline):
    await pipeline.home("misbehave", late_s=0.5)
    await pipeline.lives(1.0, 1.5)
    await pipeline.home("misbehave", late_s=0)
    await pipeline.lives(0.6)
    return "each came 0.5 s after its time"


@fault("F59", "ten times as many events for two seconds")
async def burst(pipeline):
    before = (await pipeline.home("status"))["sent"]
    await pipeline.home("set_rate", rate=2000)
    await pipeline.lives(2.0)
    await pipeline.home("set_rate", rate=pipeline.setup.rate)
    came = (await pipeline.home("status"))["sent"] - before
    assert came > 1500, came
    return f"{came} events in two seconds"


@fault("F10b", "ingest hangs until Home Assistant drops it", HISTORY)
async def hangs_until_dropped(pipeline):
    ingest = pipeline.workers["ingest"]
    await pipeline.home("set_rate", rate=4000)
    ingest.pause()

    async def dropped():
        return not (await pipeline.home("status"))["subscribed"]

    try:
        await until(dropped, 40, "Home Assistant to drop ingest")
    finally:
        ingest.resume()
    await pipeline.home("set_rate", rate=pipeline.setup.rate)
    await pipeline.subscribed()
    return f"dropped as too slow; {await missed(pipeline)} changes were never sent"


async def without_history(pipeline, how, **more):
    """Cut the connection while history fails in some way, until ingest has asked for it."""
    await pipeline.home("misbehave", history=how, **more)
    said = pipeline.hears("ingest")
    pipeline.links["home"].cut()
    await pipeline.lives(0.5, 1.0)
    await reconnected(pipeline, said)
    return said


@fault("F47", "history answers with errors at first", HISTORY)
async def history_fails(pipeline):
    said = await without_history(pipeline, "error")
    await until(lambda: said("History refuses"), 30, "ingest to be refused")
    await pipeline.home("misbehave", history="")
    return "history refused, and answered later"


@fault("F47b", "history is slow", HISTORY)
async def history_slow(pipeline):
    await without_history(pipeline, "slow", history_slow_s=1.0)
    await pipeline.lives(1.5)
    await pipeline.home("misbehave", history="")
    return "each answer of history took a second"


@fault("F48", "history and live events overlap", HISTORY)
async def overlap(pipeline):
    before = (await pipeline.ledger()).duplicates
    pipeline.links["home"].cut()
    await pipeline.subscribed()

    async def overlapped():
        return (await pipeline.ledger()).duplicates - before > 100

    await until(overlapped, 40, "history to tell again what came live")
    await asyncio.sleep(0)
    return f"{(await pipeline.ledger()).duplicates - before} came both ways"


HOUR = 3600


@fault("F52", "every worker's clock jumps an hour ahead, then to 1970", HISTORY)
async def clock_jumps(pipeline):
    for off_s in (HOUR, -int(time.time()) + HOUR):
        pipeline.clock.write_text(str(off_s))
        await pipeline.lives(0.3, 0.6)
        said = pipeline.hears("ingest")
        pipeline.links["home"].cut()  # from when on something is missing says the clock, too
        await reconnected(pipeline, said)
        await until(lambda s=said: s("Fetched what was missed"), 40, "history to be fetched")
    await seen_in_ids(pipeline, HOUR)
    return "ids go on from an hour ahead; history was fetched by each of the wrong clocks"


@fault("F52b", "every worker's clock is set back by a second 20 times", HISTORY)
async def clock_steps_back(pipeline):
    for off_s in range(20):
        pipeline.clock.write_text(str(-off_s))
        await pipeline.lives(0.03, 0.06)
    now = time.time()

    async def all_behind():
        beats = [us_of(pulse.beat) / 1e6 - now for pulse in await read_pulses(pipeline.bus)]
        return len(beats) == 3 and all(-20 < behind < -15 for behind in beats)

    await until(all_behind, 10, "every heartbeat to be behind")
    return "set back 20 times; every worker's heartbeat was 19 s behind"


async def seen_in_ids(pipeline, ahead_s):
    """That the clock of ingest was ahead: its entry ids only grow, and so still are."""
    info = await pipeline.bus.command("XINFO STREAM", "ha:raw")
    ms = int(info["last-generated-id"].partition(b"-")[0])
    assert ms > (time.time() + ahead_s - 60) * 1000, "nobody's clock was ahead"


@pytest.mark.parametrize("fault", params_of(__name__))
async def test_survives(ground, fault):
    """Whatever is missed is fetched from history and stored once, or told as a gap."""
    await ground.survive(fault)

"""Disks are full, broken and slow; files are torn and damaged."""

import asyncio
import os
import resource
import shutil
import signal
import subprocess
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.fakes.servers import require
from tests.fakes.until import until
from tests.faults.fault import fault, params_of
from tests.faults.pipeline import EVERYSEC, Setup

pytestmark = [pytest.mark.faults, pytest.mark.asyncio(loop_scope="module")]


@asynccontextmanager
async def strace(pipeline, pid, *options):
    """Do something to the system calls of a process and its threads, as long as this lasts."""
    trace = pipeline.folder / f"strace-{pid}"
    command = [require("strace"), "-f", "-qq", "-o", str(trace), *options, "-p", str(pid)]
    with (pipeline.folder / "strace.err").open("ab") as errors:
        tracer = subprocess.Popen(command, stdout=errors, stderr=errors)  # noqa: ASYNC220 - brief
    try:
        await until(lambda: is_traced(pid) or tracer.poll() is not None, 20, "strace to attach")
        assert tracer.poll() is None, (pipeline.folder / "strace.err").read_text()
        yield trace
    finally:
        tracer.send_signal(signal.SIGINT)
        await asyncio.to_thread(tracer.wait)


def is_traced(pid):
    """Whether every thread of a process has a tracer."""
    return all(
        "TracerPid:\t0\n" not in status.read_text()
        for status in Path(f"/proc/{pid}/task").glob("*/status")
    )


def injected(trace):
    """How many system calls were tampered with."""
    return trace.read_text().count("(INJECTED)") + trace.read_text().count("(DELAYED)")


async def spool_refuses(pipeline, *injections):
    """Let the disk under the spool refuse until ingest has said so and some time has passed."""
    ingest = pipeline.workers["ingest"]
    said = pipeline.hears("ingest")
    spool = pipeline.folder / "spool"
    paths = [option for path in spool.iterdir() for option in ("-P", str(path))]
    async with strace(pipeline, ingest.pid, *paths, *injections) as trace:
        await until(lambda: said("spool") or not ingest.runs, 30, "ingest to speak of the spool")
        await pipeline.lives(0.5, 1.5)
        tampered = injected(trace)
    assert tampered
    return f"{tampered} system calls on the spool failed"


@fault("F54", "the disk under the spool is full, then it is not")
async def spool_full(pipeline):
    return await spool_refuses(pipeline, "-e", "inject=pwrite64:error=ENOSPC")


@fault("F55", "the disk under the spool fails to write (EIO)")
async def spool_write_fails(pipeline):
    return await spool_refuses(pipeline, "-e", "inject=pwrite64:error=EIO")


@fault("F55b", "the disk under the spool fails to sync (EIO)")
async def spool_sync_fails(pipeline):
    return await spool_refuses(pipeline, "-e", "inject=fdatasync,fsync:error=EIO")


@fault("F55c", "the disk under the spool takes 300 ms a sync")
async def spool_sync_slow(pipeline):
    ingest, spool = pipeline.workers["ingest"], pipeline.folder / "spool"
    paths = [option for path in spool.iterdir() for option in ("-P", str(path))]
    delay = ("-e", "inject=fdatasync,fsync:delay_enter=300000")
    async with strace(pipeline, ingest.pid, *paths, *delay) as trace:
        await pipeline.lives(1.5, 2.5)
        slow = injected(trace)
    assert slow
    assert (await pipeline.home("status"))["pending"] < 1024, "ingest slowed Home Assistant down"
    return f"{slow} syncs were slow"


def append_only_file(pipeline):
    """Redis's append-only file that is being written."""
    return max((pipeline.folder / "appendonlydir").glob("*.incr.aof"))


@fault("F57", "the disk under Redis is full, appendfsync everysec", Setup(redis=EVERYSEC))
async def redis_disk_full(pipeline):
    full = ("-P", str(append_only_file(pipeline)), "-e", "inject=write:error=ENOSPC")
    said = pipeline.hears("enrich")
    async with strace(pipeline, pipeline.redis.pid, *full) as trace:
        await until(lambda: said("MISCONF"), 30, "Redis to refuse writes")
        await pipeline.lives(0.5, 1.5)
        tampered = injected(trace)
    return f"{tampered} writes failed, Redis said MISCONF"


@fault("F06b", "Redis is killed while its disk hangs: its tail is lost", Setup(redis=EVERYSEC))
async def redis_loses_tail(pipeline):
    slow = ("-e", "inject=fdatasync:delay_enter=4000000")
    async with strace(pipeline, pipeline.redis.pid, *slow) as trace:
        await pipeline.lives(1.5, 2.0)
        before = await pipeline.bus.command("XINFO STREAM", "ha:raw")
        for link in ("ingest", "enrich", "store"):
            pipeline.links[link].hold()
        pipeline.redis.kill()
    slowed = trace.read_text().count("fdatasync(")
    await pipeline.start_redis()
    after = await pipeline.bus.command("XINFO STREAM", "ha:raw")
    lost = int(before["entries-added"]) - int(after["entries-added"])
    assert slowed
    assert lost > 0
    return f"Redis came back without its last {lost} entries of ha:raw"


@fault("F16", "the end of Redis's append-only file is torn off")
async def file_torn(pipeline):
    for link in ("ingest", "enrich", "store"):
        pipeline.links[link].hold()
    before = await pipeline.bus.command("XINFO STREAM", "ha:raw")
    pipeline.redis.kill()
    path = append_only_file(pipeline)
    size = path.stat().st_size
    cut = pipeline.dice.randrange(20_000, min(80_000, size // 2))
    os.truncate(path, size - cut)
    await pipeline.start_redis()
    after = await pipeline.bus.command("XINFO STREAM", "ha:raw")
    lost = int(before["entries-added"]) - int(after["entries-added"])
    assert lost > 0
    return f"{cut} bytes were torn off, and {lost} entries of ha:raw with them"


@fault("F17", "Redis's file is damaged, Redis refuses it and is started empty")
async def file_damaged(pipeline):
    for link in ("ingest", "enrich", "store"):
        pipeline.links[link].hold()
    pipeline.redis.kill()
    path = append_only_file(pipeline)
    content = path.read_bytes()
    command = content.index(b"\r\n*", len(content) // 2) + 2
    path.write_bytes(content[:command] + b"\0" * 8 + content[command + 8 :])
    with pytest.raises(AssertionError, match="did not start"):
        await pipeline.start_redis()
    shutil.rmtree(pipeline.folder / "appendonlydir")
    await pipeline.start_redis()
    assert await pipeline.count("raw") == 0
    return "Redis refused its file, and began with nothing"


async def spool_damaged(pipeline, damage):
    """Damage the spool's file under an ingest that was killed, with rows in it not yet sent."""
    ingest, path = pipeline.workers["ingest"], pipeline.folder / "spool" / "spool.db"
    await until(lambda: path.stat().st_size > 40 * PAGE, 30, "SQLite to copy its log to the file")
    pipeline.links["ingest"].hold()
    await pipeline.lives(1.0, 1.5)
    ingest.kill()
    pages = path.stat().st_size // PAGE
    with path.open("r+b") as file:
        what = damage(file, pages, pipeline.dice)
    said = pipeline.hears("ingest")
    pipeline.links["ingest"].let_go()
    ingest.start()
    await until(lambda: said("The spool was damaged"), 30, "ingest to find the damage")
    await pipeline.subscribed()
    await until(lambda: said("Fetched what was missed"), 40, "history to be fetched")
    assert list(path.parent.glob("spool.db.corrupt-*")), "nothing was set aside"
    return f"{what} of {pages} pages; the file was set aside"


PAGE = 4096
HISTORY = Setup(owes_history=True, meddled=True)
"""What was sent before stands in the stream and not in the spool: it may come again."""


@fault("F56", "pages of the spool's file are zeroed", HISTORY)
async def spool_zeroed(pipeline):
    def zero(file, pages, dice):
        for page in dice.sample(range(2, pages), 3):
            file.seek(page * PAGE)
            file.write(bytes(PAGE))
        return "3 zeroed"

    return await spool_damaged(pipeline, zero)


@fault("F56b", "bits of the spool's file are flipped", HISTORY)
async def spool_bits_flipped(pipeline):
    def flip(file, pages, dice):
        for page in range(1, pages, 2):  # within the head of a page it is surely seen
            at = page * PAGE + dice.randrange(8)
            file.seek(at)
            bits = file.read(1)[0]
            file.seek(at)
            file.write(bytes([bits ^ 1 << dice.randrange(8)]))
        return f"a bit in {pages // 2}"

    return await spool_damaged(pipeline, flip)


@fault("F56c", "the end of the spool's file is torn off", HISTORY)
async def spool_torn(pipeline):
    def tear(file, pages, dice):
        left = dice.randrange(pages // 2, pages - 2)
        file.truncate(left * PAGE + dice.randrange(PAGE))
        return f"all but {left}"

    return await spool_damaged(pipeline, tear)


@fault("F58", "every worker may open few files, and its connections are cut")
async def few_files(pipeline):
    old = {}
    for name, worker in pipeline.workers.items():
        have = len(os.listdir(f"/proc/{worker.pid}/fd"))  # noqa: PTH208 - names are enough
        most = old[name] = resource.prlimit(worker.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(worker.pid, resource.RLIMIT_NOFILE, (have, most[1]))
    cut = sum(link.cut() for name, link in pipeline.links.items() if name != "home")
    await pipeline.lives(1.5, 2.5)
    for name, limits in old.items():
        resource.prlimit(pipeline.workers[name].pid, resource.RLIMIT_NOFILE, limits)
    assert cut
    return f"no file more than they had, and {cut} connections cut"


@pytest.mark.parametrize("fault", params_of(__name__))
async def test_survives(ground, fault):
    """Whatever happens to a disk, each event ends stored, once, and the ledger balances."""
    await ground.survive(fault)

"""A spool on a disk that is full, fails, or belongs to somebody else: in processes of its own."""

import asyncio
import os
import re
import signal
import subprocess
import sys
from functools import partial

import pytest

from ingest.spool import open_spool
from tests.fakes.bus import event
from tests.fakes.servers import require
from tests.fakes.until import until

pytestmark = pytest.mark.faults

WRITER = (sys.executable, "-m", "tests.fakes.spool_writer")


def forbidden(reason):
    """Skip at home; fail where nothing may be skipped."""
    if os.environ.get("HABUS_REQUIRE_SERVERS") == "1":
        pytest.fail(f"{reason}, and HABUS_REQUIRE_SERVERS=1 forbids to skip")
    pytest.skip(reason)


async def output_of(*command, within_s=90):
    # Without the coverage of tests: it writes a file of its own, which the faults may hit.
    clean = {name: text for name, text in os.environ.items() if not name.startswith("COV")}
    child = await asyncio.create_subprocess_exec(
        *command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=clean
    )
    async with asyncio.timeout(within_s):
        out, _ = await child.communicate()
    return child.returncode, out.decode()


async def all_of(path):
    rows, last = [], 0
    async with open_spool(path) as spool:
        while found := await spool.after(last, 1000):
            last = found[-1].seq
            rows += found
    return rows


@pytest.mark.parametrize(
    ("call", "error"),
    [
        ("fdatasync", "EIO"),
        ("pwrite64", "EIO"),
        ("pwrite64", "ENOSPC"),
    ],
)
async def test_a_write_that_fails_loses_nothing_that_was_said_to_be_safe(tmp_path, call, error):
    """The file is opened anew, the same is added again, and all stands there once, in order."""
    strace = require("strace")
    log = tmp_path / "strace.log"
    code, out = await output_of(
        *(strace, "-f", "-o", log, "-e", f"trace={call}"),
        *("-e", f"inject={call}:error={error}:when=40..46"),
        *(*WRITER, tmp_path / "spool.db", "120"),
    )
    if "ptrace" in out:
        forbidden("strace may not trace here")
    assert code == 0, out
    assert log.read_text().count("(INJECTED)") >= 1
    rows = await all_of(tmp_path / "spool.db")
    assert [row.seq for row in rows] == list(range(1, len(rows) + 1))
    assert [row.event for row in rows] == [event(n) for n in range(1, len(rows) + 1)]
    assert len(rows) >= int(out.split()[-1])
    assert not list(tmp_path.glob("*.corrupt-*"))


async def test_what_stands_after_a_sync_that_failed_is_sent_too(tmp_path):
    """A commit that failed may stand once its file is opened anew; it is read as what is new."""
    strace = require("strace")
    spool, log, out = tmp_path / "spool.db", tmp_path / "strace.log", tmp_path / "out"
    with out.open("wb") as said:
        writer = await asyncio.create_subprocess_exec(
            *(*WRITER, spool, "1500"), stdout=said, stderr=said
        )
    try:
        await until(lambda: out.read_bytes().count(b"\n") > 100, what="the writer to write")
        # All of them fail, also when the file is closed and opened, for some time.
        paths = [f"-P{spool}{end}" for end in ("", "-wal", "-shm")]
        tracer = await asyncio.create_subprocess_exec(
            *(strace, "-f", "-qq", "-o", log, *paths, "-p", str(writer.pid)),
            *("-e", "inject=fdatasync,fsync:error=EIO"),
            stderr=subprocess.PIPE,
        )
        try:
            failed = partial(_failed, log, 20)
            await until(lambda: tracer.returncode is not None or failed(), 20, "syncs to fail")
        finally:
            if tracer.returncode is None:
                tracer.send_signal(signal.SIGINT)
        _, errors = await tracer.communicate()
        if b"ptrace" in errors:
            forbidden("strace may not trace here")
        async with asyncio.timeout(60):
            assert await writer.wait() == 0, out.read_text()[-2000:]
    finally:
        if writer.returncode is None:
            writer.kill()
            await writer.wait()
    rows = await all_of(spool)
    assert [row.event for row in rows] == [event(n) for n in range(1, len(rows) + 1)]


def _failed(log, times):
    return log.exists() and log.read_text().count("(INJECTED)") >= times


FULL = """
set -e
mount -t tmpfs -o size=40m tmpfs "$1"
shift
exec "$@"
"""


async def test_a_disk_that_fills_up_heals_when_there_is_room(tmp_path):
    """On a tiny disk of its own: full, refused in words, freed, and all stands there once."""
    unshare = require("unshare")
    disk = tmp_path / "disk"
    disk.mkdir()
    code, out = await output_of(
        *(unshare, "-rm", "sh", "-c", FULL, "sh", disk),
        *(sys.executable, "-m", "tests.fakes.spool_filler", disk),
    )
    if "mount:" in out or "unshare:" in out:
        forbidden(f"no disk can be mounted here: {out.strip()}")
    assert code == 0, out
    more = int(re.search(r"(\d+) more where", out)[1])
    assert more > 400, out
    assert "full: the spool cannot be written: database or disk is full; free space" in out
    assert out.splitlines()[-1] == "all there once"


READ_ONLY = """
set -e
mount -t tmpfs tmpfs "$1"
$2
mount -o remount,ro "$1"
shift 2
exec "$@"
"""


@pytest.mark.parametrize("there", ["true", "touch spool.db spool.db.lock", "mkdir spool.db"])
async def test_a_place_that_cannot_be_written_is_named(tmp_path, there):
    """What is wrong with the place is said in one sentence that names the setting."""
    unshare = require("unshare")
    there = there.replace("spool.db", f"{tmp_path}/spool.db")
    code, out = await output_of(
        *(unshare, "-rm", "sh", "-c", READ_ONLY, "sh", tmp_path, there),
        *(*WRITER, tmp_path / "spool.db", "1"),
    )
    if "mount:" in out or "unshare:" in out:
        forbidden(f"no disk can be mounted here: {out.strip()}")
    assert code == 1
    last = out.splitlines()[-1]
    assert "SpoolUnavailable: the spool cannot be written" in last
    assert "INGEST_SPOOL_PATH" in last

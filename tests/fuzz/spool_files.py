"""Files of the spool with flipped bytes, cut, with pages of zeros."""

import asyncio
import random
import shutil
import tempfile
from pathlib import Path
from typing import Final, cast
from unittest.mock import patch

from common.bus import Bus
from common.errors import PipelineError
from ingest import disk, salvage
from ingest.gap import HOUR, Gap
from ingest.missing import Missing
from ingest.spool import Spool, open_spool
from tests.fakes.bus import START_MS, event, letter_row
from tests.fuzz.report import Report

PAGE: Final = 4096
_LONGEST_S: Final = 60.0
_EVENTS: Final = 300
NOW: Final = START_MS * 1000


async def tries(seed: int, count: int) -> Report:
    """Open so many damaged files and use what opens: our own errors, or none."""
    dice = random.Random(seed)  # noqa: S311 - chance that can be repeated
    report = Report()
    with (
        tempfile.TemporaryDirectory(prefix="habus-fuzz-") as folder,
        # Nothing but time: a small ballast, and a short search in a small file.
        patch.object(disk, "BALLAST_BYTES", PAGE),
        patch.object(salvage, "LOOKED_FOR", 2 * _EVENTS),
    ):
        samples = await _samples(Path(folder))
        for number in range(count):
            sample = dice.choice(samples)
            place = Path(folder, "tried")
            shutil.copytree(sample, place)
            damage = _damage(place, dice)
            with report.trying(f"file {number} of seed {seed}: {damage}"):
                async with asyncio.timeout(_LONGEST_S):
                    await _use(place / "spool.db", report)
            shutil.rmtree(place)
    return report


async def _use(path: Path, report: Report) -> None:
    """Do all that ingest does with a spool."""
    try:
        async with open_spool(path) as spool:
            missing = _missing(spool)
            await missing.begin(NOW)
            rows = await spool.after(0, 1000)
            numbers = [row.seq for row in rows]
            assert numbers == sorted(set(numbers)), f"numbers out of order: {numbers}"
            if not spool.rows.holds(START_MS, 5):
                spool.rows.newest_event(spool.rows.numbers_from(START_MS, 5))
            await spool.lift(numbers[0] if numbers else 0, (START_MS + 1, 5))
            added = [event(n) for n in range(10_000, 10_010)]
            assert await spool.add(added, filtered=1, now_ms=START_MS) <= len(added)
            await spool.trim(150, START_MS + 1, 10**12)
            await spool.after(numbers[-1] if rows else 0, 1000)
            missing.hear([event(n, entity_id=f"sensor.{n}") for n in range(30)])
            await missing.close((), "")
    except PipelineError as error:
        report.end(type(error).__name__)
    else:
        names = {name.name.removeprefix("spool.db") for name in path.parent.iterdir()}
        is_aside = bool(names - {"", "-wal", "-shm", ".lock", ".ballast"})
        report.end("set aside, begun anew" if is_aside else "used as it is")


def _missing(spool: Spool) -> Missing:
    nobody_asks = cast("Bus", None)
    return Missing(spool, nobody_asks, "home", 24)


async def _samples(folder: Path) -> list[Path]:
    """A spool that was closed in order, and one as a power cut leaves it: with its log."""
    whole, cut = folder / "whole", folder / "cut"
    async with open_spool(whole / "spool.db") as spool:
        for first in range(1, _EVENTS, 30):
            await spool.add(
                [event(n, entity_id=f"sensor.{n % 7}") for n in range(first, first + 30)],
                [(letter_row(5000 + first).event, letter_row(5000 + first).letter)],
                filtered=3,
                now_ms=START_MS + first,
            )
        missing = _missing(spool)
        await missing.begin(NOW)
        missing.hear([event(n, entity_id=f"sensor.{n}") for n in range(300)])
        await missing.close([Gap(NOW - HOUR, NOW, "not_recorded", ("sensor.1",))], "")
        await spool.trim(100, START_MS + 40, 10**12)
        shutil.copytree(whole, cut)
    return [whole, cut]


def _damage(place: Path, dice: random.Random) -> str:
    """Damage one of the files, and say how."""
    files = [path for path in sorted(place.iterdir()) if path.stat().st_size]
    path = dice.choice(files)
    data = bytearray(path.read_bytes())
    at = dice.randrange(len(data))
    match dice.randrange(7):
        case 0:
            del data[at:]
        case 1:
            start = at // PAGE * PAGE
            data[start : start + PAGE] = bytes(len(data[start : start + PAGE]))
        case 2:
            for _ in range(dice.choice((1, 10, 1000))):
                data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
        case 3:
            data[at : at + 200] = dice.randbytes(len(data[at : at + 200]))
        case 4:  # the head of the file
            data[dice.randrange(min(100, len(data)))] = dice.randrange(256)
        case 5:  # two pages change places
            other = dice.randrange(len(data)) // PAGE * PAGE
            start = at // PAGE * PAGE
            data[start : start + PAGE], data[other : other + PAGE] = (
                data[other : other + PAGE],
                data[start : start + PAGE],
            )
        case _:
            data = bytearray(dice.choice((b"", b"hello", dice.randbytes(9000))))
    path.write_bytes(data)
    return f"{path.name} at {at} of {len(data)}"

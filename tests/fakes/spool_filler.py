"""A process that fills the disk under a spool, and frees it: `… spool_filler FOLDER`."""

import asyncio
import sys
from pathlib import Path

from common.errors import SpoolUnavailable
from ingest.spool import Spool, open_spool
from tests.fakes.bus import START_MS, event

BIG = b'"' + b"x" * 20_000 + b'"'


async def fill(spool: Spool, first: int) -> int:
    """Add events until the disk is full; return the number of the one that was refused."""
    n = first
    while True:
        try:
            await spool.add([event(n, data=BIG)], filtered=0, now_ms=START_MS)
        except SpoolUnavailable as error:
            sys.stdout.write(f"full: {error}\n")
            return n
        n += 1


async def main(folder: Path) -> None:
    """Fill, let what was sent make room, free the disk, and look at it all."""
    path, other = folder / "spool.db", folder / "other"
    other.write_bytes(b"x" * 5_000_000)  # more than what waits in the log
    async with open_spool(path) as spool:
        refused = await fill(spool, 1)
        spool.sent = refused // 2
        n = await fill(spool, refused)
        sys.stdout.write(f"{n - refused} more where {spool.sent} were sent\n")
        other.unlink()
        for _ in range(50):
            await spool.add([event(n, data=BIG)], filtered=0, now_ms=START_MS)
            n += 1
        first = spool.sent
    async with open_spool(path) as spool:
        last, seen = 0, []
        while rows := await spool.after(last, 100):
            last = rows[-1].seq
            seen += [row.event for row in rows]
    expected = [event(i, data=BIG) for i in range(1, n)]
    if seen == expected[-len(seen) :] and n - 1 - first <= len(seen) < n - 1:
        sys.stdout.write("all there once\n")
    else:
        sys.stdout.write(f"{len(seen)} of {n - 1}, sent {first}\n")


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))

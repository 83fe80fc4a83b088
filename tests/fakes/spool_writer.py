"""A process that fills a spool: `python -m tests.fakes.spool_writer FILE [TIMES]`."""

import asyncio
import os
import sys
import time
from pathlib import Path

from common.errors import SpoolUnavailable
from ingest.spool import open_spool
from tests.fakes.bus import event


async def main(path: Path, times: int) -> None:
    """Add batches of growing numbers; after each a line on stdout says the last that is safe.

    What the disk refuses is added again. It ends after so many batches, or when it is killed.
    Meanwhile all is read as whoever sends it does.

    Raises:
        AssertionError: When what is read is not what was added, each once and in order.
    """
    async with open_spool(path) as spool:
        rows = await spool.after(0, 1_000_000)
        n = sent = len(rows)
        while times:
            times -= 1
            batch = [event(n + i) for i in range(1, 1 + n % 7 + 1)]
            while True:
                try:
                    await spool.add(batch, filtered=1, now_ms=time.time_ns() // 1_000_000)
                    break
                except SpoolUnavailable:
                    await asyncio.sleep(0.01)
            n += len(batch)
            while found := await spool.after(sent, 1_000):
                first, sent = sent + 1, found[-1].seq
                assert [row.seq for row in found] == [*range(first, sent + 1)]
                assert [row.event for row in found] == [event(i) for i in range(first, sent + 1)]
            assert sent == n, f"{sent} were read, {n} were added"
            os.write(1, b"%d\n" % n)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else -1))

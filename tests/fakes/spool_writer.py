"""A process that fills a spool until it is killed: `python -m tests.fakes.spool_writer FILE`."""

import asyncio
import os
import sys
import time
from pathlib import Path

from ingest.spool import open_spool
from tests.fakes.bus import event


async def main(path: Path) -> None:
    """Add batches of growing numbers; after each a line on stdout says the last that is safe."""
    async with open_spool(path) as spool:
        rows = await spool.after(0, 1_000_000)
        n = len(rows)
        while True:
            batch = [event(n + i) for i in range(1, 1 + n % 7 + 1)]
            await spool.add(batch, filtered=1, now_ms=time.time_ns() // 1_000_000)
            n += len(batch)
            os.write(1, b"%d\n" % n)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))

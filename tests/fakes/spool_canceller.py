"""A process that cancels what its spool is doing and closes it: `… spool_canceller FILE`."""

import asyncio
import sys
from contextlib import suppress
from pathlib import Path

from ingest.spool import open_spool
from tests.fakes.bus import START_MS, event


async def main(path: Path) -> None:
    """Open, add, cancel the add after some turns of the loop, close; again and again."""
    for turn in range(300):
        with suppress(asyncio.CancelledError):
            async with open_spool(path) as spool:
                batch = [event(turn * 100 + n, data=b"x" * 2000) for n in range(50)]
                add = asyncio.create_task(spool.add(batch, filtered=0, now_ms=START_MS))
                for _ in range(1 + turn % 5):
                    await asyncio.sleep(0)
                add.cancel()
                await add


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))

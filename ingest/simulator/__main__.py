"""The simulated home as a process: `python -m ingest.simulator --help`."""

import argparse
import asyncio
import dataclasses
import gc
import os
import signal
import sys
from collections.abc import Sequence

from ingest.simulator.frames import encode
from ingest.simulator.server import Simulator
from ingest.simulator.settings import FLAVOURS, Settings

_HELP = {
    "rate": "state changes a second, 0 to 50000",
    "entities": "entities in all; 0: as many as the rate asks for",
    "version": f"Home Assistant's version: {', '.join(FLAVOURS)}",
    "oracle": "file that gets a line for each state change",
    "frame_events": "most events in one coalesced frame",
    "waits_for_slow": "wait for a slow client instead of dropping it",
}


def main(arguments: Sequence[str]) -> int:
    """Run until SIGTERM or SIGINT; the first line on stdout says url, token and pid, as JSON."""
    chosen = vars(_parser().parse_args(arguments))
    host, port, seconds = (chosen.pop(key) for key in ("host", "port", "seconds"))
    demo, after = chosen.pop("demo"), chosen.pop("after_subscription")
    asyncio.run(_run(Simulator(Settings(**chosen), demo=demo), (host, port), seconds, after=after))
    return 0


async def _run(
    simulator: Simulator, address: tuple[str, int], seconds: float, *, after: bool
) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    rate = simulator.rate
    if after:
        simulator.rate = 0
    async with simulator.serve(*address) as home:
        gc.freeze()
        _say({"url": home.url, "http_url": home.http_url, "token": home.token, "pid": os.getpid()})
        life = asyncio.create_task(_live(home, rate, seconds))
        await stop.wait()
        life.cancel()
        _say({"stopped": True, **home.status()})


async def _live(home: Simulator, rate: float, seconds: float) -> None:
    """Live at the rate once somebody listens, for so many seconds (0: for ever); then say so."""
    while not home.rate and rate:
        if home.told:
            home.set_rate(rate)
        await asyncio.sleep(0.01)
    if seconds:
        await asyncio.sleep(seconds)
        home.set_rate(0)
        await asyncio.sleep(0.1)
        _say({"done": True, **home.status()})


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m ingest.simulator", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=0, help="0: any that is free")
    parser.add_argument(
        "--seconds", type=float, default=0.0, help="stop changing after so long; 0: never"
    )
    parser.add_argument("--demo", action="store_true", help="believable values, four a second")
    parser.add_argument(
        "--after-subscription", action="store_true", help="change only once somebody listens"
    )
    for field in dataclasses.fields(Settings):
        if field.name == "demo":
            continue
        flag, text = "--" + field.name.replace("_", "-"), _HELP.get(field.name, "")
        if isinstance(field.default, bool):
            parser.add_argument(
                flag, action=argparse.BooleanOptionalAction, default=field.default, help=text
            )
        else:
            parser.add_argument(flag, type=type(field.default), default=field.default, help=text)
    return parser


def _say(line: object) -> None:
    sys.stdout.write(encode(line).decode() + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

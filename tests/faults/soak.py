"""Faults by chance, one after the other and several at once, until you stop it.

Usage: python -m tests.faults.soak [--seed N] [--seconds S]; SEED and SECONDS in the environment
do the same. A run is repeated by its seed.
"""

import argparse
import asyncio
import importlib
import os
import sys
import tempfile
import time
from pathlib import Path
from random import Random, SystemRandom

from tests.faults.fault import FAULTS, Fault, survive
from tests.faults.pipeline import Pipeline, Setup

THEMES = ("processes", "redis", "network", "sink", "disk", "home", "poison", "restarts")
"""Files of faults that may come; those that meddle with the streams are not among them."""

SUMMARY_EVERY_S = 120.0
"""Seconds between two sums."""


def chosen() -> list[Fault]:
    """Faults that can happen to the plain pipeline, with history to make good what is missed."""
    for theme in THEMES:
        importlib.import_module(f"tests.faults.test_{theme}")
    plain = (Setup(), Setup(owes_history=True))
    return [each for each in FAULTS if each.setup in plain and not each.why_not]


async def soak(seed: int, seconds: float) -> int:
    """Let faults happen; 0 when each was survived.

    Args:
        seed: Of the schedule and of everything in it.
        seconds: How long; 0: for ever.
    """
    dice = Random(seed)  # noqa: S311 - what can be repeated
    faults = chosen()
    began = told = time.monotonic()
    tally = {"faults": 0, "events": 0, "written again": 0}
    say(f"SEED={seed}: {len(faults)} kinds of faults")
    with tempfile.TemporaryDirectory(prefix="soak") as folder:
        async with Pipeline(Path(folder), Setup(owes_history=True), seed) as pipeline:
            while not seconds or time.monotonic() < began + seconds:
                fault = dice.choice(faults)
                outcome = await survive(pipeline, fault)
                tally["faults"] += 1
                tally["events"] += outcome.sent
                tally["written again"] += outcome.repeated
                at_s = time.monotonic() - began
                say(f"{at_s:7.1f} s  {fault}: {outcome.fired}; well in {outcome.recovery_s:.1f} s")
                if outcome.broken:
                    for name, examples in outcome.broken.items():
                        say(f"BROKEN {name}: {'; '.join(examples)}")
                    for worker in pipeline.workers.values():
                        say(f"--- {worker.name} ---\n{worker.last_words()}")
                    say(f"repeat it with SEED={seed}")
                    return 1
                if time.monotonic() > told + SUMMARY_EVERY_S:
                    told = time.monotonic()
                    say(f"I1 to I11 hold after {tally}; {await pipeline.ledger()}")
            say(f"I1 to I11 hold after {tally}; {await pipeline.ledger()}")
    return 0


def say(line: str) -> None:
    """Tell whoever watches."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> int:
    """Soak as the command line or the environment says."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.soak", description=__doc__)
    seed = os.environ.get("SEED") or SystemRandom().randrange(2**31)
    parser.add_argument("--seed", type=int, default=int(seed))
    parser.add_argument("--seconds", type=float, default=float(os.environ.get("SECONDS") or 0))
    asked = parser.parse_args()
    return asyncio.run(soak(asked.seed, asked.seconds))


if __name__ == "__main__":
    sys.exit(main())

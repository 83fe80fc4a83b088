"""Pipelines that several faults share, and the record of what became of each."""

import json
import os
import subprocess
import time
from dataclasses import asdict
from pathlib import Path
from random import SystemRandom

import pytest
import pytest_asyncio

from tests.faults.fault import survive
from tests.faults.pipeline import ROOT, Outcome, Pipeline

SEED = int(os.environ.get("FAULT_SEED") or SystemRandom().randrange(2**31))
"""Of every pipeline of this run."""

REPORT = Path(os.environ.get("FAULT_REPORT", ROOT / ".cache" / "faults.json"))
"""Where the record of a run is written."""

_records: list[dict[str, object]] = []


class Ground:
    """Keeps the pipeline that the next fault can happen to, or makes a new one.

    Args:
        folders: Makes an empty folder.
    """

    def __init__(self, folders: pytest.TempPathFactory) -> None:
        self._folders = folders
        self._pipeline: Pipeline | None = None

    async def survive(self, fault):
        """Let a fault happen; the test fails when an invariant is broken."""
        pipeline = await self._fit(fault.setup)
        outcome = None
        try:
            outcome = await survive(pipeline, fault)
        finally:
            broken = {"stopped": ["by an exception"]} if outcome is None else outcome.broken
            _records.append(
                {
                    "id": fault.id,
                    "name": fault.name,
                    "kind": fault.inject.__module__.rpartition(".")[2],
                    "survived": not broken,
                    "seed": SEED,
                    **asdict(outcome or Outcome()),
                }
            )
            if broken:
                await self.clear()
        if broken:
            logs = "\n".join(
                f"--- {worker.name} ---\n{worker.last_words()}"
                for worker in pipeline.workers.values()
            )
            lines = [f"{name}: {example}" for name, each in broken.items() for example in each]
            pytest.fail(
                f"{fault.id} {fault.name}; repeat it with FAULT_SEED={SEED}\n"
                f"happened: {outcome.fired}\n" + "\n".join(lines) + f"\n{logs}",
                pytrace=False,
            )

    async def _fit(self, setup):
        if self._pipeline is not None and self._pipeline.setup != setup:
            await self.clear()
        if self._pipeline is None:
            pipeline = Pipeline(self._folders.mktemp("pipeline"), setup, SEED)
            self._pipeline = await pipeline.__aenter__()
        return self._pipeline

    async def clear(self):
        """End the pipeline."""
        if self._pipeline is not None:
            pipeline, self._pipeline = self._pipeline, None
            await pipeline.__aexit__(None, None, None)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ground(tmp_path_factory):
    """Where faults happen."""
    ground = Ground(tmp_path_factory)
    yield ground
    await ground.clear()


@pytest.fixture(autouse=True)
def _no_child_left_behind():
    """Pipelines outlive a test here; `ground` ends them."""


def pytest_report_header():
    """Say the seed, whatever happens."""
    return f"faults: FAULT_SEED={SEED} repeats this run"


def pytest_sessionfinish():
    """Write down what became of each fault."""
    if not _records:
        return
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    ).stdout.strip()
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    record = {"seed": SEED, "commit": commit, "at": time.strftime("%Y-%m-%d"), "faults": _records}
    REPORT.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n")

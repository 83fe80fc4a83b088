"""The real workers as processes: started, killed, stopped."""

import asyncio
import atexit
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

ROOT = Path(__file__).resolve().parents[2]


class WorkerProcesses:
    """`python -m ingest`, `enrich` and `store` with the same settings.

    Args:
        folder: Where their logs, the spool and the sink lie.
        module: Run instead of the stage itself, with the stage as its argument.
        settings: Environment variables of habus.
    """

    def __init__(self, folder: Path, module: str = "", **settings: str) -> None:
        self._folder = folder
        self._module = module
        self.spool = folder / "spool.db"
        self.sink = folder / "events.db"
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        coverage = {name: text for name, text in os.environ.items() if name.startswith("COV")}
        self._environment = {
            **kept,
            **coverage,
            "PYTHONPATH": str(ROOT),
            "TMPDIR": str(folder),
            "WORKER_NAME": "test",
            "STORE_SINK": "sqlite",
            "STORE_SQLITE_PATH": str(self.sink),
            "INGEST_SPOOL_PATH": str(self.spool),
            **settings,
        }
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        atexit.register(self.kill_all)

    def start(self, *stages: str) -> Self:
        """Start these workers."""
        for stage in stages:
            assert stage not in self._running, f"{stage} runs already"
            with self.log(stage).open("ab") as log:
                self._running[stage] = subprocess.Popen(
                    [sys.executable, "-m", *filter(None, (self._module, stage))],
                    stdout=log,
                    stderr=log,
                    cwd=self._folder,
                    env=self._environment,
                )
        return self

    def log(self, stage: str) -> Path:
        """File with what a worker said."""
        return self._folder / f"{stage}.log"

    def said(self, stage: str) -> str:
        """What a worker said so far."""
        return self.log(stage).read_text()

    def kill(self, stage: str) -> None:
        """End it as a crash does (SIGKILL)."""
        worker = self._running.pop(stage)
        assert worker.poll() is None, f"{stage} ended by itself:\n{self.log(stage).read_text()}"
        worker.kill()
        worker.wait()

    def pid(self, stage: str) -> int:
        """Process id of a worker that was started."""
        return self._running[stage].pid

    def has_ended(self, stage: str) -> bool:
        """Whether a worker that was started has ended by itself."""
        return self._running[stage].poll() is not None

    async def ended(self, stage: str, within_s: float = 20.0) -> int:
        """Exit code of a worker that ends by itself."""
        return await asyncio.to_thread(self._running.pop(stage).wait, within_s)

    async def stop(self, within_s: float = 20.0) -> dict[str, int]:
        """Stop those that run as a service manager does (SIGTERM); return their exit codes."""
        stopping, self._running = self._running, {}
        for worker in stopping.values():
            worker.send_signal(signal.SIGCONT)
            worker.terminate()
        codes = {}
        for stage, worker in stopping.items():
            try:
                codes[stage] = await asyncio.to_thread(worker.wait, within_s)
            except subprocess.TimeoutExpired:
                worker.kill()
                worker.wait()
                codes[stage] = -9
        return codes

    def kill_all(self) -> None:
        """End what still runs."""
        for stage in list(self._running):
            worker = self._running.pop(stage)
            worker.kill()
            worker.wait()
        atexit.unregister(self.kill_all)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        codes = await self.stop()
        self.kill_all()
        if kind is None:
            assert not any(codes.values()), codes

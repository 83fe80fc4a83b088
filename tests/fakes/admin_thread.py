"""Admin in a thread: for tests that drive a browser, which wait without a loop."""

import asyncio
import threading
import time
from pathlib import Path
from typing import Any

import httpx

from admin.__main__ import main
from admin.config import Settings
from tests.fakes.servers import free_port


class AdminThread:
    """The real admin on a free port, which can be stopped and started again.

    Args:
        redis_url: The bus.
        folder: Where the sink's file lies.
        more: More settings.
    """

    token = "a-token-that-is-long-enough"

    def __init__(self, redis_url: str, folder: Path, **more: Any) -> None:
        self._settings = Settings(
            redis_url=redis_url,
            store_sink="sqlite",
            store_sqlite_path=folder / "events.db",
            admin_port=free_port(),
            admin_token=self.token,
            **more,
        )
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._thread: threading.Thread | None = None
        self.url = f"http://127.0.0.1:{self._settings.admin_port}"

    def start(self, within_s: float = 20.0) -> None:
        """Start, and return when it answers."""
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)
        self._thread.start()
        deadline = time.monotonic() + within_s
        while not self._answers():
            assert time.monotonic() < deadline, "admin does not answer"
            time.sleep(0.02)

    def stop(self) -> None:
        """Stop as a signal does, and return when it has ended."""
        if self._thread is not None:
            if self._loop is not None and self._stop is not None:
                self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(20)
            assert not self._thread.is_alive(), "admin does not end"
            self._thread = None

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        await main(self._settings, self._stop)

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/healthz").status_code == 200
        except httpx.TransportError:
            return False

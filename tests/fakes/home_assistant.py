"""A real Home Assistant for one test session, and somebody who listens to it beside us."""

import asyncio
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.request import Request, urlopen

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from common.event import microseconds, normal_time
from tests.fakes.servers import free_port

RUNNER = Path(__file__).parents[1] / "e2e" / "run_homeassistant.py"
PYTHON = "HABUS_HOMEASSISTANT_PYTHON"

Key = tuple[int, str]
"""Microseconds since 1970, entity id."""


class RealHome:
    """Home Assistant with its demo, onboarded; started in a folder of its own.

    Args:
        folder: Where its configuration and its log lie.
    """

    def __init__(self, folder: Path) -> None:
        python = os.environ.get(PYTHON)
        if not python:
            reason = f"{PYTHON} names no Python that has Home Assistant"
            if os.environ.get("HABUS_REQUIRE_SERVERS") == "1":
                pytest.fail(f"{reason}, and HABUS_REQUIRE_SERVERS=1 forbids to skip")
            pytest.skip(reason)
        self._folder = folder
        self._ready = folder / "ready.json"
        self._log = folder / "runner.log"
        self._command = [
            *(sys.executable, str(RUNNER), "--python", python, "--port", str(free_port())),
            *("--config-dir", str(folder / "config"), "--ready-file", str(self._ready)),
        ]
        self._process: subprocess.Popen[bytes] | None = None
        self.url = self.ws_url = self.token = self.version = ""

    def __enter__(self) -> Self:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)
        deadline = time.monotonic() + 180
        while not self._ready.exists():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise AssertionError(f"Home Assistant did not start:\n{self._log.read_text()}")
            time.sleep(0.1)
        ready = json.loads(self._ready.read_text())
        self.url, self.ws_url = ready["url"], ready["ws_url"]
        self.token, self.version = ready["token"], ready["version"]
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End it as a service manager does."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(90)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    async def set_state(
        self, entity_id: str, state: str, attributes: dict[str, Any] | None = None
    ) -> None:
        """Set a state over REST."""
        await asyncio.to_thread(
            self._call, "POST", entity_id, {"state": state, "attributes": attributes or {}}
        )

    async def remove(self, entity_id: str) -> None:
        """Remove a state over REST."""
        await asyncio.to_thread(self._call, "DELETE", entity_id, None)

    def _call(self, method: str, entity_id: str, body: object) -> None:
        request = Request(  # noqa: S310 - our own server
            f"{self.url}/api/states/{entity_id}",
            None if body is None else json.dumps(body).encode(),
            {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"},
            method=method,
        )
        try:
            with urlopen(request, timeout=30) as answer:  # noqa: S310 - our own server
                answer.read()
        except OSError as error:
            said = self._log.read_text()
            raise AssertionError(f"Home Assistant did not take it ({error!r}):\n{said}") from error


class Listener:
    """Subscribes to `state_changed` beside us, and remembers what was fired.

    Args:
        home: Whom to listen to.
    """

    def __init__(self, home: RealHome) -> None:
        self._home = home
        self.events: list[dict[str, Any]] = []

    async def __aenter__(self) -> Self:
        self._socket: ClientConnection = await connect(self._home.ws_url, max_size=None)
        await self._hear("auth_required")
        await self._say(type="auth", access_token=self._home.token)
        await self._hear("auth_ok")
        await self._say(id=1, type="subscribe_events", event_type="state_changed")
        await self._hear("result")
        self._task = asyncio.create_task(self._listen())
        return self

    async def __aexit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        await self._socket.close()
        await self._task

    def states_of(self, entity_id: str) -> list[str | None]:
        """States that an entity took, in order; None for its removal."""
        return [
            (event["data"]["new_state"] or {}).get("state")
            for event in self.events
            if event["data"]["entity_id"] == entity_id
        ]

    async def _say(self, **message: object) -> None:
        await self._socket.send(json.dumps(message))

    async def _hear(self, kind: str) -> None:
        message = json.loads(await self._socket.recv())
        assert message["type"] == kind, message

    async def _listen(self) -> None:
        try:
            async for frame in self._socket:
                self.events.append(json.loads(frame)["event"])
        except ConnectionClosed:
            return


def key_of(event: dict[str, Any]) -> Key:
    """What identifies a change: its entity, and the time that habus gives it."""
    new = event["data"]["new_state"]
    time_text = new["last_updated"] if new else event["time_fired"]
    return microseconds(normal_time(time_text)), event["data"]["entity_id"]

"""Keeping a connection to Home Assistant."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from common.errors import AuthenticationFailed, HomeAssistantUnavailable
from ingest import worker as worker_module
from ingest.worker import keep_connected


class FakeHome:
    """Connections that end one after the other, each in its way.

    Args:
        stop: Set when there is none left.
        ends: How each ends: an error, or None for an end in order.
    """

    def __init__(self, stop, *ends):
        self.stop = stop
        self.ends = list(ends)
        self.connections = self.closed = 0
        self.heard = []

    @asynccontextmanager
    async def connect(self):
        self.connections += 1
        try:
            yield self
        finally:
            self.closed += 1

    async def everything(self, _socket, _frames, stop):
        end = self.ends.pop(0)
        if not self.ends:
            stop.set()
        if end is not None:
            raise end

    def dependency(self, name, error):
        self.heard.append((name, str(error)))


@pytest.fixture
def stop():
    return asyncio.Event()


@pytest.fixture(autouse=True)
def waits(monkeypatch):
    """Seconds that were waited; nobody waits in fact."""
    waited = []

    async def pause(_stop, seconds):
        waited.append(seconds)

    monkeypatch.setattr(worker_module, "pause", pause)
    return waited


async def test_a_lost_connection_is_made_again_later_and_later(stop, waits):
    """After each loss comes another try, each wait longer; the heartbeat says what happened."""
    home = FakeHome(stop, *(HomeAssistantUnavailable(f"lost {n}") for n in range(5)))
    await keep_connected(home.connect, lambda: home, home, 100, stop)
    assert (home.connections, home.closed) == (5, 5)
    assert home.heard == [("home_assistant", f"lost {n}") for n in range(5)]
    assert waits[4] > 2 * waits[0]


async def test_a_connection_that_lasted_makes_the_next_wait_short(stop, waits, monkeypatch):
    """After a success the waits begin anew."""
    monkeypatch.setattr(worker_module, "LASTED_S", -1.0)
    home = FakeHome(stop, *(HomeAssistantUnavailable("lost") for _ in range(8)))
    await keep_connected(home.connect, lambda: home, home, 100, stop)
    assert max(waits) <= 2 * min(waits)


async def test_never_reached_is_not_said_to_be_lost(stop, monkeypatch):
    """A home that was never there cannot be reached; one that hung up was lost."""
    said = []
    monkeypatch.setattr(worker_module.log, "warning", lambda sentence, **_: said.append(sentence))
    home = FakeHome(stop, HomeAssistantUnavailable("it said goodbye"))
    refusals = [HomeAssistantUnavailable("nobody listens")]

    @asynccontextmanager
    async def connect():
        if refusals:
            raise refusals.pop()
        async with home.connect() as socket:
            yield socket

    await keep_connected(connect, lambda: home, home, 100, stop)
    assert said == [
        "Cannot reach Home Assistant; trying again",
        "Lost Home Assistant; connecting again",
    ]


async def test_a_refused_token_is_never_tried_again(stop):
    """A fatal error leaves the loop at once."""
    home = FakeHome(stop, AuthenticationFailed("no"), None)
    with pytest.raises(AuthenticationFailed):
        await keep_connected(home.connect, lambda: home, home, 100, stop)
    assert (home.connections, home.closed) == (1, 1)


async def test_a_stop_before_the_start_connects_to_nobody(stop):
    """Who is stopped makes no connection."""
    stop.set()
    home = FakeHome(stop, None)
    await keep_connected(home.connect, lambda: home, home, 100, stop)
    assert home.connections == 0

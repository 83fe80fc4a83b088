"""A blocking HTTP request with a deadline for the whole of it, however slowly it drips."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, TypeVar

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

T = TypeVar("T")


class DeadlinePassed(Exception):
    """The request was given up; it may or may not have had its effect."""


class _Thread(threading.local):
    """The connections that a thread's request uses."""

    def __init__(self) -> None:
        self.connections: list[HTTPConnection] = []


_thread = _Thread()
_idle: list[SimpleQueue[Callable[[], None]]] = []
"""Where threads wait that have made their request: starting one costs more than the request."""


class _Http(HTTPConnection):
    """A connection that remembers by which request it is used, so that it can be cut."""

    def connect(self) -> None:
        _thread.connections.append(self)
        super().connect()

    def request(self, *args: Any, **options: Any) -> None:  # noqa: ANN401 - handed through
        _thread.connections.append(self)
        super().request(*args, **options)


class _Https(_Http, HTTPSConnection):
    pass


class _HttpPool(HTTPConnectionPool):
    ConnectionCls = _Http


class _HttpsPool(HTTPSConnectionPool):
    ConnectionCls = _Https


POOLS: dict[str, type[HTTPConnectionPool]] = {"http": _HttpPool, "https": _HttpsPool}
"""For `pool_classes_by_scheme` of the urllib3 manager whose requests `in_thread` makes."""


async def in_thread(call: Callable[[], T], within_s: float) -> T:
    """Make one request in a daemon thread and return what it returns.

    Past the deadline its connection is shut, which wakes the thread. A time-out of the socket
    is for each read and cannot do that. A thread of an executor would keep the process from
    ending while a name is looked up.

    Raises:
        DeadlinePassed: When it took too long.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()
    connections: list[HTTPConnection] = []

    def settle(result: T | None, error: BaseException | None) -> None:
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)  # type: ignore[arg-type]

    def run() -> None:
        _thread.connections = connections
        result, problem = None, None
        try:
            result = call()
        except BaseException as error:  # noqa: BLE001 - raised again where it is awaited
            problem = error
        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(settle, result, problem)

    _start(run)
    try:
        async with asyncio.timeout(within_s):
            return await future
    except TimeoutError:
        raise DeadlinePassed from None
    finally:
        if not future.done() or future.cancelled():
            _cut(connections)


def _start(call: Callable[[], None]) -> None:
    try:
        calls = _idle.pop()
    except IndexError:
        calls = SimpleQueue()
        threading.Thread(target=_work, args=(calls,), daemon=True).start()
    calls.put(call)


def _work(calls: SimpleQueue[Callable[[], None]]) -> None:
    me = threading.current_thread()
    while True:
        me.name = "sink-idle"
        call = calls.get()
        me.name = "sink-request"
        call()
        del call  # and with it what was sent
        _idle.append(calls)


def _cut(connections: list[HTTPConnection]) -> None:
    for connection in connections[-1:]:
        if isinstance(connection.sock, socket.socket):
            with contextlib.suppress(OSError):  # it has ended by itself
                # Not SSLSocket's own shutdown, which changes what the thread reads from.
                socket.socket.shutdown(connection.sock, socket.SHUT_RDWR)

"""A Redis written in Python, in a thread: it keeps nothing, and will do for trying things out."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from fakeredis import TcpFakeServer

POLL_S: Final = 0.05
"""Seconds until the thread notices that it shall end."""


@contextmanager
def fake_redis() -> Iterator[int]:
    """Serve a fake Redis on a free loopback port as long as the context lasts; yield the port."""
    server = TcpFakeServer(("127.0.0.1", 0))
    server.daemon_threads = True
    ended = threading.Event()
    server.RequestHandlerClass = _going_on(server.RequestHandlerClass, ended)
    server.fake_server.script_cache = _Scripts()
    thread = threading.Thread(target=server.serve_forever, args=(POLL_S,), daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        ended.set()
        server.shutdown()
        server.server_close()
        thread.join()


def _going_on(handler: Any, ended: threading.Event) -> type:  # noqa: ANN401 - fakeredis has no types
    """Return a handler that goes on after a reply that is an error.

    fakeredis 2.40 hangs up then, which Redis does not.
    """

    class Handler(handler):  # type: ignore[misc] # fakeredis has no types
        def handle(self) -> None:
            while not ended.is_set():
                super().handle()
                try:
                    if not self.connection.recv(1, socket.MSG_PEEK):
                        return
                except BlockingIOError:
                    continue
                except OSError:
                    return

    return Handler


class _Scripts(dict[bytes, bytes]):
    """Scripts without their first line `#!lua …`, which fakeredis cannot read."""

    def __getitem__(self, sha: bytes) -> bytes:
        """Return the text that Lua understands."""
        text = super().__getitem__(sha)
        return text.partition(b"\n")[2] if text.startswith(b"#!") else text

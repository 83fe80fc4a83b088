"""An event loop that ends though a name is being looked up."""

import asyncio
import socket
import threading
from contextlib import suppress
from typing import Any


class Loop(asyncio.SelectorEventLoop):
    """Looks names up in daemon threads.

    asyncio's own loop does so in its executor, whose threads are joined at the end: a name
    server that does not answer would keep the process for another 20 s.
    """

    async def getaddrinfo(self, *host_and_port: Any, **hints: Any) -> Any:  # noqa: ANN401 - as asyncio has it
        """Return what `socket.getaddrinfo` returns."""
        found: asyncio.Future[Any] = self.create_future()

        def settle(addresses: object, error: Exception | None) -> None:
            if not found.done():
                found.set_exception(error) if error else found.set_result(addresses)

        def look_up() -> None:
            addresses, problem = None, None
            try:
                addresses = socket.getaddrinfo(*host_and_port, **hints)
            except (OSError, ValueError, OverflowError) as error:  # a name, or port, that cannot be
                problem = error
            with suppress(RuntimeError):  # the loop has ended meanwhile
                self.call_soon_threadsafe(settle, addresses, problem)

        threading.Thread(target=look_up, name="look-up", daemon=True).start()
        return await found

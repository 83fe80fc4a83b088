"""Link: one connection of a client, which keeps little for a reader that does not read."""

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.h11_impl import H11Protocol

STALLED_S: Final = 30.0
"""Seconds without reading after which a client is cut off; what it misses it can ask for again."""

UNSENT_BYTES: Final = 16_384
"""Bytes of an answer that wait for a slow reader, beyond which the answer waits."""


class Link(H11Protocol):
    """Holds few bytes for a slow reader, and cuts off one that stands still."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - uvicorn's own
        super().__init__(*args, **kwargs)
        self._stalled: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # uvicorn's own signature
        """Begin."""
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=UNSENT_BYTES)

    def pause_writing(self) -> None:
        """The reader is behind."""
        super().pause_writing()
        self._stalled = self.loop.call_later(STALLED_S, self.transport.abort)

    def resume_writing(self) -> None:
        """The reader goes on."""
        super().resume_writing()
        self._forgive()

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        super().connection_lost(exc)
        self._forgive()

    def shutdown(self) -> None:
        """Let an answer end, but for a reader that is behind."""
        super().shutdown()
        if self._stalled is not None:
            self.transport.abort()

    def _forgive(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

"""Link: one connection of a client; it has little memory and little time for who is slow."""

import asyncio
from contextlib import suppress
from http import HTTPStatus
from typing import Any, Final

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from admin.failure import without_request

STALLED_S: Final = 30.0
"""Seconds without reading after which a client is cut off; what it misses it can ask for again."""

UNSENT_BYTES: Final = 16_384
"""Bytes of an answer that wait for a slow reader, beyond which the answer waits."""

READ_BYTES: Final = 16_384
"""Bytes taken from a client in one go: nobody else is served while they are parsed."""

HEAD_S: Final = 10.0
"""Seconds in which the head of a request must have come, from its connection or first byte on."""

BODY_S: Final = 30.0
"""Seconds in which the body must have come after it."""

LINGER_S: Final = 1.0
"""Seconds for which a body that nobody wants is thrown away: then its sender hears the answer."""

MANY_LINKS: Final = 700
"""Connections at once, of those who watch too; for one more, the longest idle one must go."""

MOST_LINKS: Final = 850
"""Connections at once while all others are busy; many systems allow 1024 open files."""

_IN_TIME: Final = {h11.IDLE: HEAD_S, h11.SEND_BODY: BODY_S}
"""What a client is to send → seconds it has."""

_ANSWERS: Final = frozenset({h11.IDLE, h11.SEND_RESPONSE})
"""States in which no answer has begun."""


class Link(H11Protocol):
    """Cuts off who sends or reads too slowly, and holds few bytes for anybody.

    Attributes:
        idle_since: When it was made, or last answered, on the loop's clock.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - uvicorn's own
        super().__init__(*args, **kwargs)
        self._stalled: asyncio.TimerHandle | None = None
        self._late: asyncio.TimerHandle | None = None
        self._sends: object = None
        self._lingers = False
        self.idle_since = self.loop.time()

    @property
    def is_idle(self) -> bool:
        """Whether we wait for a request, or for the rest of one."""
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is None or cycle.response_complete or cycle.more_body

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # uvicorn's own signature
        """Begin; when there are too many, instead of the one that is idle for longest."""
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=UNSENT_BYTES)
        transport.max_size = READ_BYTES  # type: ignore[attr-defined] # asyncio's: bytes of one read
        if len(self.connections) > MANY_LINKS and not self._finds_room():
            message = "too many are connected already; try again in 30 s"
            transport.write(_raw(503, message, "Retry-After: 30"))
            transport.close()
            return
        self._expect(h11.IDLE)

    def data_received(self, data: bytes) -> None:
        """Take what came, unless nobody listens any more."""
        if not (self._lingers or self.transport.is_closing()):
            super().data_received(data)
            self._expect(self.conn.their_state)

    def send_400_response(self, msg: str) -> None:
        """Answer what is no request, in the one shape of refusals."""
        del msg
        if self.conn.our_state in _ANSWERS:
            self.transport.write(_raw(400, "this is no HTTP request, or its head is too long"))
        self._linger()

    def on_response_complete(self) -> None:
        """Wait for the next request; what is left of a body that nobody wanted ends the link."""
        super().on_response_complete()
        self.idle_since = self.loop.time()
        if self.conn.their_state is h11.SEND_BODY and not self.transport.is_closing():
            self._linger()
        has_more = bool(self.conn.trailing_data[0])
        self._expect(None)  # uvicorn's own timer ends what stays idle
        if has_more:
            self._expect(self.conn.their_state)

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
        self._expect(None)

    def shutdown(self) -> None:
        """Let an answer end, but for a reader that is behind."""
        super().shutdown()
        if self._stalled is not None:
            self.transport.abort()

    def _linger(self) -> None:
        """Hang up; to close with bytes unread would take the answer away from its reader, too."""
        self._lingers = True
        with suppress(OSError):  # the client has broken off meanwhile
            self.transport.write_eof()
        self.loop.call_later(LINGER_S, self.transport.abort)

    def _forgive(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def _expect(self, sends: object) -> None:
        """Say what the client is to send now; it has its time for that, however it is cut up."""
        if sends is self._sends:
            return
        self._sends = sends
        if self._late is not None:
            self._late.cancel()
        seconds = _IN_TIME.get(sends)  # type: ignore[call-overload] # a state of h11, or None
        self._late = None if seconds is None else self.loop.call_later(seconds, self._cut)

    def _cut(self) -> None:
        self.connections.discard(self)
        self.transport.abort()

    def _finds_room(self) -> bool:
        """Cut off the link that is idle for longest; whether there is room now.

        Who means it has sent its request before so many others come that it is the longest.
        """
        others = (link for link in self.connections if isinstance(link, Link) and link is not self)
        idle = (link for link in others if link.is_idle)
        oldest = min(idle, key=lambda link: link.idle_since, default=None)
        if oldest is not None:
            oldest._cut()  # noqa: SLF001 - one of us
        return len(self.connections) <= MOST_LINKS


def _raw(status: int, message: str, *headers: str) -> bytes:
    """A whole answer, for whom no application answers."""
    body = without_request(status, message)
    head = [
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        "Connection: close",
        *headers,
    ]
    return "\r\n".join([*head, "", ""]).encode() + body

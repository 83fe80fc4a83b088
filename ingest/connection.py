"""The socket to Home Assistant: the only file that opens, reads and closes it."""

import errno
import logging
import socket
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as open_websocket
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI
from websockets.frames import CloseCode
from websockets.protocol import State

from common.errors import HomeAssistantUnavailable, InvalidSetting

OPEN_TIMEOUT_S: Final = 10.0
"""Seconds for TCP, TLS and the upgrade together."""

PING_S: Final = 20.0
"""Seconds between two pings, and seconds each waits for its pong."""

CLOSE_TIMEOUT_S: Final = 1.0
"""Seconds a goodbye of ours waits for its answer."""

MAX_FRAME_BYTES: Final = 64 * 1024 * 1024
"""Largest message; Supervisor passes on no larger one.

Big homes answer `get_states` with several MiB, and one coalesced frame can be as large.
Source: https://github.com/home-assistant/supervisor, MAX_MESSAGE_SIZE_FROM_CORE
"""

_HINTS: Final[Mapping[int, str]] = {
    HTTPStatus.BAD_REQUEST: "a proxy that Home Assistant does not trust? See trusted_proxies there",
    HTTPStatus.UNAUTHORIZED: "a proxy in front of Home Assistant asks for a login of its own",
    HTTPStatus.FORBIDDEN: "Home Assistant may have banned this address: see its ip_bans.yaml",
    HTTPStatus.NOT_FOUND: "the path should be /api/websocket, or /core/websocket at Supervisor",
    HTTPStatus.BAD_GATEWAY: "Home Assistant is still starting behind its proxy",
    HTTPStatus.SERVICE_UNAVAILABLE: "Home Assistant is still starting behind its proxy",
}

_REFUSED: Final = "refuses the connection; is it running, and is the port right?"

_UNREACHABLE: Final[Mapping[type[OSError], str]] = {
    TimeoutError: "did not answer in time; is it on, and is the address right?",
    socket.gaierror: "has a name that cannot be found; check it, or write the IP address instead",
    ssl.SSLCertVerificationError: (
        "shows a certificate that is not trusted; use the name that it is made for, or put its "
        "certificate authority's file into HA_CA_FILE ({})"
    ),
    ssl.SSLError: "does not speak TLS as it should; does it want ws:// in place of wss://? ({})",
    ConnectionResetError: (
        "hung up while we connected; is it ws:// in place of wss://, or the other way round?"
    ),
    ConnectionRefusedError: _REFUSED,
}
"""What an error of the network means; the first that fits counts."""

_log = logging.getLogger(__name__ + ".websockets")
_log.setLevel(logging.WARNING)  # at DEBUG websockets logs frames, and one of them is the token


class Socket:
    """An open WebSocket to Home Assistant; made by `connect`."""

    def __init__(self, client: ClientConnection) -> None:
        self._client = client
        self._is_over = False

    async def frames(self) -> AsyncIterator[bytes]:
        """Yield each frame as it came; end only when we hang up.

        Raises:
            HomeAssistantUnavailable: When the other side ends it, politely or not.
        """
        while not self._is_over:
            try:
                frame = await self._client.recv(decode=False)
            except ConnectionClosed as error:
                if self._is_over:
                    return
                raise HomeAssistantUnavailable(_why_closed(error)) from error
            yield frame

    async def send(self, text: str) -> None:
        """Send one frame.

        Raises:
            HomeAssistantUnavailable: When the socket is closed.
        """
        try:
            await self._client.send(text)
        except ConnectionClosed as error:
            raise HomeAssistantUnavailable(_why_closed(error)) from error

    def abort(self) -> None:
        """Hang up at once, without a goodbye; `frames` ends, also where it waits."""
        self._is_over = True
        self._client.transport.abort()

    async def close(self) -> None:
        """Say goodbye and hang up, within `CLOSE_TIMEOUT_S`."""
        self._is_over = True
        await self._client.close()


@asynccontextmanager
async def connect(url: str, ca_file: Path | None = None) -> AsyncIterator[Socket]:
    """Open a socket and close it at the end.

    Args:
        url: `ws://` or `wss://`, with the path.
        ca_file: PEM file of the only certificate authorities to trust; None: the system's.

    Raises:
        HomeAssistantUnavailable: When it cannot be opened; the message says why and what to do.
        InvalidSetting: When the address cannot be used at all.
    """
    is_secure = url.startswith("wss:")
    try:
        client = await open_websocket(
            url,
            ssl=_trusting(ca_file) if is_secure else None,
            create_connection=_Client,
            compression=None,  # costs both sides more than a LAN gains
            proxy=None,
            logger=_log,
            max_size=MAX_FRAME_BYTES,
            open_timeout=OPEN_TIMEOUT_S,
            close_timeout=CLOSE_TIMEOUT_S,
            ping_interval=PING_S,
            ping_timeout=PING_S,
        )
    except InvalidStatus as error:
        raise HomeAssistantUnavailable(f"{_place(url)} {_why_refused(error)}") from error
    except InvalidHandshake as error:
        advice = "is it Home Assistant?" if is_secure else "does it want wss:// in place of ws://?"
        raise HomeAssistantUnavailable(
            f"{_place(url)} does not answer as a WebSocket ({error}); {advice}"
        ) from error
    except OSError as error:
        raise HomeAssistantUnavailable(f"{_place(url)} {_why_unreachable(error)}") from error
    except (InvalidURI, ValueError) as error:
        raise InvalidSetting(
            "HA_WEBSOCKET_URL is no address of a WebSocket; "
            "write it like ws://homeassistant.local:8123/api/websocket"
        ) from error
    home = Socket(client)
    try:
        yield home
    finally:
        await home.close()


class _Client(ClientConnection):
    """Lets go of TCP as soon as the conversation is over, by their goodbye or by an error.

    Since 2025 Home Assistant keeps TCP open after its close frame, waits up to 10 s for us, and
    only then restarts. Whoever breaks the protocol may never let go.
    """

    def data_received(self, data: bytes) -> None:
        super().data_received(data)  # our own close frame has left when this returns
        if self.protocol.state is State.CLOSING:
            self.transport.abort()


def _trusting(ca_file: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        raise HomeAssistantUnavailable(
            f"HA_CA_FILE {ca_file} cannot be used any more as certificates in PEM format: {error}"
        ) from error


def _place(url: str) -> str:
    """Return the host and port of an address, without a password that may stand in it."""
    parts = urlsplit(url)
    return f"Home Assistant at {parts.netloc.rpartition('@')[2]}"


def _why_refused(error: InvalidStatus) -> str:
    status = error.response.status_code
    hint = _HINTS.get(status, "is HA_WEBSOCKET_URL right?")
    return f"answered HTTP {status}; {hint}"


def _why_unreachable(error: OSError) -> str:
    for kind, sentence in _UNREACHABLE.items():
        if isinstance(error, kind):
            return sentence.format(error)
    # asyncio tries each address of a name, and of several failures leaves only the text
    if f"[Errno {errno.ECONNREFUSED}]" in str(error):
        return _REFUSED
    return f"cannot be reached: {error}"


def _why_closed(error: ConnectionClosed) -> str:
    received, sent = error.rcvd, error.sent
    if received is not None:
        reason = f"{received.code} {received.reason}".strip()
        return f"Home Assistant said goodbye ({reason}); it restarts, or we read too slowly"
    if sent is not None and sent.code == CloseCode.MESSAGE_TOO_BIG:
        return (
            f"Home Assistant sent a message of more than {MAX_FRAME_BYTES >> 20} MiB; "
            "an entity with huge attributes? Find it there and make them smaller"
        )
    if sent is not None and sent.code == CloseCode.INTERNAL_ERROR:
        return f"Home Assistant did not answer a ping within {PING_S:g} s; it hangs, or the network"
    if sent is not None and sent.code != CloseCode.NORMAL_CLOSURE:
        return f"Home Assistant sent what is no WebSocket frame ({sent.code} {sent.reason})"
    return (
        "the connection to Home Assistant broke off; it restarts, the network failed, we read "
        "too slowly, or its access token was deleted"
    )

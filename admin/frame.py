"""What stands around every answer: a correlation id, security headers, limits, and a last catch."""

import re
import time
from typing import Final
from uuid import uuid4

import structlog
from fastapi import Request
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from admin.etag import Tagged
from admin.failure import Refusal, of_defect, of_refusal
from admin.security import Door, Hosts
from common.logs import logger

CORRELATION: Final = "X-Correlation-ID"
"""Header that ties a request, its answer and its log lines together."""

MAX_BODY_BYTES: Final = 1_048_576
"""Largest body of a request."""

STRANGER_BYTES: Final = 4096
"""Largest body of a request without token and session; a login fits into it."""

HELD_BYTES: Final = MAX_BODY_BYTES + 262_144
"""Bytes of all bodies at once; read as JSON they take some twenty times as much."""

PART_BYTES: Final = 32_768
"""Bytes of an answer that are handed on at once: the next wait until a slow reader took them."""

CONTENT_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
    " connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""What our pages may load: nothing but our own files."""

_HEADERS: Final = {
    "Content-Security-Policy": CONTENT_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
}
_BUSY: Final = "large bodies are being read, and memory is kept for the pipeline; try again"
_GOOD_ID: Final = re.compile(r"[A-Za-z0-9._:-]{1,64}")

log = logger(__name__)


class Frame:
    """Wraps the application: every answer leaves through here, also that of a defect.

    HEAD is answered as GET is, without the body.

    Args:
        app: What answers.
        door: Knows who may send much.
        hosts: Names by which we may be called.
        root_path: Path under which a proxy serves us; it may keep it or strip it.
    """

    def __init__(self, app: ASGIApp, door: Door, hosts: Hosts, root_path: str = "") -> None:
        self._app = app
        self._door = door
        self._hosts = hosts
        self._root_path = root_path
        self._held_bytes = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if scope["method"] == "HEAD":
            await self({**scope, "method": "GET"}, receive, _head_of(send))
            return
        scope["root_path"] = self._root_path
        headers = Headers(scope=scope)
        correlation_id = _correlation_id(headers.get(CORRELATION, ""))
        scope.setdefault("state", {})["correlation_id"] = correlation_id
        started, status, held = time.monotonic(), 0, 0
        hand_on = _in_parts(send)

        request = Request(scope)
        is_known = self._door.knows(request)
        most = MAX_BODY_BYTES if is_known else STRANGER_BYTES

        async def bounded() -> Message:
            nonlocal held
            message = await receive()
            size = len(message.get("body", b""))
            held += size
            self._held_bytes += size if is_known else 0
            if held > most:
                raise _too_large(most)
            if self._held_bytes > HELD_BYTES:
                raise Refusal(503, _BUSY, headers={"Retry-After": "1"})
            return message

        async def framed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                _dress(MutableHeaders(scope=message), correlation_id)
            await hand_on(message)

        with structlog.contextvars.bound_contextvars(correlation_id=correlation_id):
            try:
                await self._answering(request)(scope, bounded, Tagged(scope, framed))
            except Exception:
                log.exception("a request failed by a defect of habus")
                if not status:
                    await _plain(of_defect(request), scope, receive, framed)
            finally:
                self._held_bytes -= held if is_known else 0
            log.debug(
                "answered",
                method=scope["method"],
                path=scope["path"],
                status=status,
                ms=round((time.monotonic() - started) * 1000, 1),
            )

    def _answering(self, request: Request) -> ASGIApp:
        refusal = self._refusal(request.headers)
        if refusal is not None:
            return of_refusal(request, refusal)
        if self._root_path and request.scope["path"] == self._root_path:
            return RedirectResponse(f"{self._root_path}/", 307)  # the page's links are relative
        return self._app

    def _refusal(self, headers: Headers) -> HTTPException | None:
        if not self._hosts.allow(headers.get("host", "")):
            return Refusal(
                400,
                "habus does not go by this name; call it by its address, or add the name"
                " to ADMIN_ALLOWED_HOSTS",
                code="INVALID_HOST",
            )
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length[:20]) > MAX_BODY_BYTES:
            return _too_large(MAX_BODY_BYTES)
        return None


def _too_large(most: int) -> HTTPException:
    message = f"the body is larger than {most} bytes"
    # To a stranger the door says 401 instead, where it is closed.
    return (HTTPException if most < MAX_BODY_BYTES else Refusal)(413, message)


def _dress(headers: MutableHeaders, correlation_id: str) -> None:
    headers[CORRELATION] = correlation_id
    for name, value in _HEADERS.items():
        headers.setdefault(name, value)


def _in_parts(send: Send) -> Send:
    """Cut large bodies: in one piece one would be copied as a whole for a reader that is slow."""

    async def send_parts(message: Message) -> None:
        body: bytes = message.get("body", b"")
        last = max(0, len(body) - 1) // PART_BYTES * PART_BYTES
        for at in range(0, last, PART_BYTES):
            await send({**message, "body": body[at : at + PART_BYTES], "more_body": True})
        await send({**message, "body": body[last:]} if last else message)

    return send_parts


def _head_of(send: Send) -> Send:
    """Send the head of an answer alone; whoever answers then finds its reader gone."""

    async def send_head(message: Message) -> None:
        if message["type"] == "http.response.start":
            await send(message)
            await send({"type": "http.response.body", "body": b""})

    return send_head


def _correlation_id(given: str) -> str:
    return given if _GOOD_ID.fullmatch(given) else uuid4().hex


async def _plain(response: Response, scope: Scope, receive: Receive, send: Send) -> None:
    await response(scope, receive, send)

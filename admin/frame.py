"""What stands around every answer: a correlation id, security headers, limits, and a last catch."""

import re
import time
from typing import Final
from uuid import uuid4

import structlog
from fastapi import Request
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from admin.etag import Tagged
from admin.failure import Refusal, of_defect, of_refusal
from admin.security import Hosts
from common.logs import logger

CORRELATION: Final = "X-Correlation-ID"
"""Header that ties a request, its answer and its log lines together."""

MAX_BODY_BYTES: Final = 1_048_576
"""Largest body of a request."""

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
_GOOD_ID: Final = re.compile(r"[A-Za-z0-9._:-]{1,64}")

log = logger(__name__)


class Frame:
    """Wraps the application: every answer leaves through here, also that of a defect.

    Args:
        app: What answers.
        hosts: Names by which we may be called.
        root_path: Path under which a proxy serves us; it may keep it or strip it.
    """

    def __init__(self, app: ASGIApp, hosts: Hosts, root_path: str = "") -> None:
        self._app = app
        self._hosts = hosts
        self._root_path = root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope["root_path"] = self._root_path
        headers = Headers(scope=scope)
        correlation_id = _correlation_id(headers.get(CORRELATION, ""))
        scope.setdefault("state", {})["correlation_id"] = correlation_id
        started, status = time.monotonic(), 0

        async def framed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                _dress(MutableHeaders(scope=message), correlation_id)
            await send(message)

        with structlog.contextvars.bound_contextvars(correlation_id=correlation_id):
            request = Request(scope)
            try:
                refusal = self._refusal(headers)
                app = self._app if refusal is None else of_refusal(request, refusal)
                await app(scope, _bounded(receive), Tagged(scope, framed))
            except Exception:
                log.exception("a request failed by a defect of habus")
                if not status:
                    await _plain(of_defect(request), scope, receive, framed)
            log.debug(
                "answered",
                method=scope["method"],
                path=scope["path"],
                status=status,
                ms=round((time.monotonic() - started) * 1000, 1),
            )

    def _refusal(self, headers: Headers) -> Refusal | None:
        if not self._hosts.allow(headers.get("host", "")):
            return Refusal(
                400,
                "habus does not go by this name; call it by its address, or add the name"
                " to ADMIN_ALLOWED_HOSTS",
                code="INVALID_HOST",
            )
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length[:20]) > MAX_BODY_BYTES:
            return _too_large()
        return None


def _bounded(receive: Receive) -> Receive:
    """Hand on a body as long as it is not too large, whatever Content-Length said."""
    received = 0

    async def bounded() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > MAX_BODY_BYTES:
            raise _too_large()
        return message

    return bounded


def _too_large() -> Refusal:
    message = f"the body is larger than {MAX_BODY_BYTES} bytes"
    return Refusal(413, message, headers={"Connection": "close"})


def _dress(headers: MutableHeaders, correlation_id: str) -> None:
    headers[CORRELATION] = correlation_id
    for name, value in _HEADERS.items():
        headers.setdefault(name, value)


def _correlation_id(given: str) -> str:
    return given if _GOOD_ID.fullmatch(given) else uuid4().hex


async def _plain(response: Response, scope: Scope, receive: Receive, send: Send) -> None:
    await response(scope, receive, send)

"""Who may come in: the token, the session that a browser gets for it, and from where."""

import hashlib
import hmac
import ipaddress
import re
import secrets
import socket
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from fastapi import Request
from fastapi.security import HTTPBearer

from admin.config import SHORTEST_TOKEN, Settings
from admin.failure import Refusal
from common.errors import InvalidSetting

COOKIE: Final = "habus_session"
"""Cookie that stands for the token in a browser."""

SESSION_S: Final = 7 * 86_400
"""Seconds for which a browser stays logged in."""

PAGE_HEADER: Final = "X-Habus"
"""Header that our own page sends with each change; no form and no link of another site can."""

SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing, and so need no proof that our own page sent them."""

_PRIVATE_SUFFIXES: Final = (
    *(".local", ".localhost", ".lan", ".home", ".home.arpa", ".internal", ".test"),
)
"""Nobody can register a name below these, so no attacker can point one at us.

Source: https://www.rfc-editor.org/rfc/rfc6761, rfc6762, rfc8375; ICANN resolution 2024.07.29.06
"""

bearer = HTTPBearer(auto_error=False, description="ADMIN_TOKEN, or the one that habus made.")
"""Only tells OpenAPI how to come in; `Door` decides."""


class Door:
    """Tells who may come in.

    Args:
        token: The admin token.
    """

    def __init__(self, token: str) -> None:
        self._digest = _digest(token)
        self._key = hashlib.sha256(b"habus session\0" + token.encode()).digest()
        self._ended: dict[str, int] = {}

    def check(self, request: Request) -> None:
        """Let a request pass.

        Raises:
            Refusal: 401 without token and session; 403 when another site uses the session.
        """
        if self._has_token(request):
            return
        if not self._has_session(request):
            raise Refusal(
                401,
                "send the header `Authorization: Bearer <token>`; habus says at start where"
                " its token is, ADMIN_TOKEN sets it",
                headers={"WWW-Authenticate": "Bearer"},
            )
        if request.method not in SAFE_METHODS and not (
            same_origin(request) and PAGE_HEADER in request.headers
        ):
            raise Refusal(403, "only habus's own page may change things with its session")

    def knows(self, request: Request) -> bool:
        """Whether a request has the token, or a session."""
        return self._has_token(request) or self._has_session(request)

    def opens_with(self, token: str) -> bool:
        """Whether this is the token; takes as long for every wrong one."""
        return hmac.compare_digest(_digest(token), self._digest)

    def new_session(self) -> str:
        """Return the value of a session's cookie; a restart does not end it, a new token does."""
        head = f"{int(time.time()) + SESSION_S}.{secrets.token_urlsafe(16)}"
        return f"{head}.{self._signature(head)}"

    def end_session(self, request: Request) -> None:
        """Close the door to the session of a request; until a restart also to a copy of it."""
        session = request.cookies.get(COOKIE, "")
        if self._is_genuine(session):
            now = time.time()
            self._ended = {one: until for one, until in self._ended.items() if until > now}
            self._ended[session] = _end_of(session)

    def _has_token(self, request: Request) -> bool:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        return scheme.lower() == "bearer" and self.opens_with(token.strip())

    def _has_session(self, request: Request) -> bool:
        session = request.cookies.get(COOKIE, "")
        return (
            self._is_genuine(session)
            and session not in self._ended
            and _end_of(session) > time.time()
        )

    def _is_genuine(self, session: str) -> bool:
        head, _, signature = session.rpartition(".")
        return hmac.compare_digest(_digest(signature), _digest(self._signature(head)))

    def _signature(self, head: str) -> str:
        return hmac.new(self._key, head.encode("utf-8", "replace"), "sha256").hexdigest()


class Hosts:
    """The names by which habus may be called; others would let a strange site reach it.

    A page of an attacker can point its own name at our address and so read our answers (DNS
    rebinding). It cannot do so with an address, or with a name that nobody can register.

    Args:
        names: More names that are fine.
    """

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._names = {socket.gethostname().lower(), *(name.lower() for name in names)}

    def allow(self, header: str) -> bool:
        """Whether the header `Host` names us."""
        host = _host_of(header)
        if not host:
            return False
        with suppress(ValueError):
            ipaddress.ip_address(host)
            return True
        return "." not in host or host.endswith(_PRIVATE_SUFFIXES) or host in self._names


def same_origin(request: Request) -> bool:
    """Whether our own page sent the request.

    Browsers send Sec-Fetch-Site only to https and localhost, so Origin counts elsewhere.
    """
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    origin = request.headers.get("origin", "")
    with suppress(ValueError):
        return bool(origin) and urlsplit(origin).netloc == request.headers.get("host", "")
    return False


def token_of(settings: Settings) -> tuple[str, Path | None]:
    """Return the admin token, and the file it stands in where habus made it.

    Raises:
        InvalidSetting: When the file cannot be read or written, or holds no good token.
    """
    if token := settings.admin_token.get_secret_value():
        return token, None
    path = settings.admin_token_path
    try:
        token = _kept_token(path)
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidSetting(
            f"ADMIN_TOKEN_PATH: cannot keep a token in {path}"
            f" ({getattr(error, 'strerror', None) or error}); set ADMIN_TOKEN, or another path"
        ) from error
    if len(token) < SHORTEST_TOKEN:
        raise InvalidSetting(
            f"ADMIN_TOKEN_PATH: the token in {path} is shorter than {SHORTEST_TOKEN} characters;"
            " delete the file, and habus makes a new one"
        )
    return token, path


def _kept_token(path: Path) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        path.touch(mode=0o600, exist_ok=False)
        path.write_text(secrets.token_urlsafe(32) + "\n", encoding="utf-8")
    path.chmod(0o600)
    return path.read_text(encoding="utf-8").strip()


def _end_of(session: str) -> int:
    return int(session.partition(".")[0])


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()


def _host_of(header: str) -> str:
    """The host without its port, in lower case; empty when it is none."""
    found = re.fullmatch(r"(\[[0-9a-f:.]+\]|[a-z0-9_.-]+)(?::[0-9]{1,5})?", header.strip().lower())
    return found[1].strip("[]").removesuffix(".") if found else ""

"""Pages for a browser: the dashboard, its files, the login, and the description of the API."""

import base64
import hashlib
import html
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Annotated, Any, Final
from urllib.parse import parse_qs

from fastapi import APIRouter, Path, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from admin.failure import Refusal, failures
from admin.frame import CONTENT_POLICY
from admin.rate_limits import LOGINS
from admin.security import COOKIE, SESSION_S, Door, same_origin
from admin.who import address_of
from common.logs import logger

router = APIRouter(include_in_schema=False)

MAX_LOGIN_BYTES: Final = 4096
"""Largest body of a login."""

_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_STATIC: Final = files("admin.static")

log = logger(__name__)


@router.get("/")
async def dashboard() -> Response:
    """The dashboard."""
    return _file("index.html")


@router.get("/docs")
async def docs() -> Response:
    """The description of the API, for people."""
    return _file("docs.html")


@router.get("/openapi.json")
async def openapi(request: Request) -> dict[str, Any]:
    """The description of the API, for programs."""
    described: dict[str, Any] = request.app.openapi()
    return described


@router.get("/static/{name:path}", responses=failures(404))
async def static_file(request: Request, name: Annotated[str, Path(max_length=100)]) -> Response:
    """A file of the dashboard; one that the browser has already is not sent again."""
    if name not in _names():
        raise Refusal(404, "there is no such file")
    headers = {"ETag": _tag(name), "Cache-Control": "no-cache"}
    if request.headers.get("if-none-match") == _tag(name):
        return Response(status_code=304, headers=headers)
    return _file(name, headers)


@router.get("/login")
async def logged_in() -> Response:
    """Who reloads the login page and is known goes on; the door shows the form to all others."""
    return RedirectResponse("./", status_code=303)


async def login(request: Request) -> Response:
    """Turn the token into a session; a wrong one is answered with 401 and the form again."""
    if not same_origin(request):
        raise Refusal(403, "only habus's own page may log in")
    door: Door = request.app.state.door
    body = await request.body()
    form = parse_qs(body[:MAX_LOGIN_BYTES].decode("utf-8", "replace"))
    token = form.get("token", [""])[0].strip()
    if not door.opens_with(token):
        request.app.state.rate_limits.count(LOGINS, address_of(request))
        log.warning("a login with a wrong token", client=request.client and request.client.host)
        return login_page("This is not the token.")
    answer = RedirectResponse("./", status_code=303)
    answer.set_cookie(
        COOKIE,
        door.new_session(),
        max_age=SESSION_S,
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return answer


@router.post("/logout")
async def logout(request: Request) -> Response:
    """End the session of this browser."""
    request.app.state.door.end_session(request)
    answer = Response(status_code=204)
    answer.delete_cookie(COOKIE, httponly=True, samesite="strict")
    return answer


def login_page(
    problem: str = "", status: int = 401, more: Mapping[str, str] | None = None
) -> Response:
    """Answer with a form that asks for the token."""
    page = _text("login.html")
    style = page.partition("<style>")[2].partition("</style>")[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = CONTENT_POLICY.replace("style-src 'self'", f"style-src 'sha256-{digest}'")
    headers = {"Content-Security-Policy": policy, "WWW-Authenticate": "Bearer", **(more or {})}
    return HTMLResponse(page.replace("<!--problem-->", html.escape(problem)), status, headers)


def wants_page(request: Request) -> bool:
    """Whether a person with a browser looks for a page, or logs in."""
    looks = request.method == "GET" or request.scope.get("endpoint") is login
    return looks and "text/html" in request.headers.get("accept", "")


def _file(name: str, headers: Mapping[str, str] | None = None) -> Response:
    suffix = name[name.rindex(".") :]
    return Response(_text(name), headers=headers, media_type=_TYPES[suffix])


@cache
def _tag(name: str) -> str:
    return f'"{hashlib.sha256(_text(name).encode()).hexdigest()[:32]}"'


@cache
def _text(name: str) -> str:
    return _STATIC.joinpath(name).read_text("utf-8")


@cache
def _names() -> frozenset[str]:
    """The files that may be asked for; nothing else in the world is."""
    return frozenset(
        f"{folder}{entry.name}"
        for folder in ("", "js/", "js/pages/", "vendor/")
        for entry in _STATIC.joinpath(folder).iterdir()
        if entry.name.endswith(tuple(_TYPES)) and not entry.name.endswith(".html")
    )

"""The application: every route behind one door, every answer in one frame."""

from collections.abc import Sequence
from typing import Any, Final

from fastapi import Depends, FastAPI, Request, Security
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Match

from admin.desk import Desk
from admin.failure import Refusal, failures, of_pipeline, of_refusal, of_validation
from admin.frame import Frame
from admin.rate_limits import BULK, CHANGES, LOGINS, TOKENS, RateLimits
from admin.routes import (
    audit,
    backfills,
    config,
    dead_letters,
    entities,
    events,
    export,
    health,
    live,
    pages,
    preview,
    replays,
    streams,
    way,
)
from admin.security import SAFE_METHODS, Door, Hosts, bearer
from admin.who import address_of
from common import __version__
from common.errors import PipelineError

API: Final = "/api/v1"
"""Prefix of every route of the REST API."""

OPEN: Final = frozenset({health.alive, health.ready, pages.login})
"""What may be asked without token; `login` itself answers 401 to everything but the token."""

HARMLESS: Final = frozenset({dead_letters.dry_run, preview.preview, pages.login, pages.logout})
"""What is sent by POST though it changes nothing; also read-only habus answers it."""

BULKY: Final = frozenset({replays.replay_many, dead_letters.purge, export.export})
"""What concerns many letters at once."""

_METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")

_DESCRIPTION: Final = """
habus captures every state change of a Home Assistant, keeps it safe in Redis Streams, enriches it,
and stores it in InfluxDB. This API shows the pipeline and lets a person hand in events and look
after dead letters.

- **Token**: every route but `/healthz` and `/readyz` wants `Authorization: Bearer <token>`.
- **Errors** have one shape, `Failure`. Send `X-Correlation-ID` (letters, digits, `.`, `_`, `:`,
  `-`, at most 64) to find a request again in the logs; every answer carries one.
- **503** means that Redis or the sink is away: nothing is lost, ask again after `Retry-After`
  seconds.
- **429** means too often: ask again after `Retry-After` seconds.
- **ETag**: send it as `If-None-Match`, and what has not changed is answered 304.
- **Pages**: ask again with `cursor` set to the answer's `next_cursor` until that is null.
- **Times** are ISO 8601 with a zone; answers are in UTC.
"""


def create_app(
    desk: Desk,
    token: str,
    hosts: Hosts,
    *,
    root_path: str = "",
    cors_origins: Sequence[str] = (),
) -> FastAPI:
    """Make the application.

    Args:
        desk: What it works with.
        token: The admin token.
        hosts: Names by which it may be called.
        root_path: Path under which a proxy serves it.
        cors_origins: Origins whose pages may call with the token.
    """
    # Deny by default: a route that is added anywhere stands behind the door.
    app = FastAPI(
        title="habus",
        version=__version__,
        description=_DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        servers=[{"url": root_path}] if root_path else None,
        dependencies=[Depends(_enter), Security(bearer)],
        responses=failures(400, 401, 403, 405, 422, 429, 500),
    )
    app.state.desk = desk
    app.state.rate_limits = RateLimits()
    app.state.door = Door(token)
    for router in (
        *(health, streams, live, way, events, preview, entities),
        *(replays, export, dead_letters, audit, config, backfills),
    ):
        app.include_router(router.router, prefix=API)
    app.include_router(pages.router)
    _add_plain_routes(app)
    for error in (HTTPException, RequestValidationError):
        app.add_exception_handler(error, _refuse)
    app.add_exception_handler(PipelineError, _of_pipeline)
    if cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(cors_origins),
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["Authorization", "If-None-Match", "X-Correlation-ID", "Last-Event-ID"],
            expose_headers=["ETag", "Location", "Retry-After", "X-Correlation-ID"],
        )
    app.add_middleware(Frame, door=app.state.door, hosts=hosts, root_path=root_path)
    app.openapi = lambda: _described(app)  # type: ignore[method-assign] # as FastAPI's manual says
    return app


def _add_plain_routes(app: FastAPI) -> None:
    """Routes without the prefix."""
    app.get("/healthz", operation_id="isAlive", tags=["health"])(health.alive)
    app.get("/readyz", operation_id="isReady", tags=["health"], responses=failures(503))(
        health.ready
    )
    app.get(
        "/metrics",
        operation_id="getMetrics",
        tags=["health"],
        response_class=Response,
        responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
    )(health.scrape)
    app.post("/login", include_in_schema=False)(pages.login)


async def _enter(request: Request) -> None:
    """Ask the door, by what would answer and not by what the path looks like."""
    endpoint = request.scope.get("endpoint")
    if endpoint not in OPEN:
        _check(request)
    elif endpoint is pages.login:
        request.app.state.rate_limits.check(LOGINS, address_of(request))
    if request.method not in SAFE_METHODS and endpoint not in HARMLESS:
        if request.app.state.desk.read_only:
            raise Refusal(
                405,
                "habus shows everything here and changes nothing: ADMIN_READ_ONLY is set",
                code="READ_ONLY",
                headers={"Allow": "GET"},
            )
        request.app.state.rate_limits.take(CHANGES, address_of(request))
    if endpoint in BULKY:
        request.app.state.rate_limits.take(BULK, address_of(request))


def _check(request: Request) -> None:
    """Ask the door; who tries tokens is sent away after some."""
    tries = "authorization" in request.headers
    limits: RateLimits = request.app.state.rate_limits
    try:
        request.app.state.door.check(request)
    except Refusal:
        if tries:
            limits.take(TOKENS, address_of(request))
        raise


async def _refuse(request: Request, error: Exception) -> Response:
    """Answer a refusal; who has no token learns nothing but that."""
    if not isinstance(error, Refusal) and request.scope.get("endpoint") not in OPEN:
        try:
            _check(request)
        except Refusal as refusal:
            error = refusal
    if isinstance(error, RequestValidationError):
        return of_validation(request, error)
    if (
        isinstance(error, HTTPException)
        and not isinstance(error, Refusal)
        and error.status_code == 405  # noqa: PLR2004
    ):
        error.headers = {"Allow": ", ".join(_allowed(request))}
    if isinstance(error, Refusal) and pages.wants_page(request):
        if error.status_code == 401:  # noqa: PLR2004
            return pages.login_page()
        if request.scope.get("endpoint") is pages.login:
            return pages.login_page(error.detail, error.status_code, error.headers)
    return of_refusal(request, error)


def _allowed(request: Request) -> list[str]:
    """Every method of the path; the router names only those of the first route that fits."""
    routes = request.app.router.routes
    allowed = [
        method
        for method in _METHODS
        if any(
            route.matches({**request.scope, "method": method})[0] is Match.FULL for route in routes
        )
    ]
    return ["GET", "HEAD", *allowed[1:]] if "GET" in allowed else allowed


async def _of_pipeline(request: Request, error: Exception) -> Response:
    return of_pipeline(request, error)


def _described(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document; the open routes say that they are."""
    if app.openapi_schema is None:
        schema = get_openapi(
            title=app.title,
            version=app.version,
            description=app.description,
            routes=app.routes,
            servers=app.servers or None,
            tags=[
                {"name": "health", "description": "How the pipeline is."},
                {"name": "streams", "description": "The streams in Redis's words."},
                {"name": "events", "description": "Stored events, passing events, handing one in."},
                {"name": "entities", "description": "What is known about each entity."},
                {"name": "dead letters", "description": "Events that could not go on."},
                {"name": "backfills", "description": "What is fetched from history on request."},
            ],
        )
        for path in ("/healthz", "/readyz"):
            operation = schema["paths"][path]["get"]
            operation["security"] = []
            for status in ("401", "403", "405", "422", "429"):
                operation["responses"].pop(status, None)
        app.openapi_schema = schema
    return app.openapi_schema

"""The admin's application on a bus and on a sink that does as it is told."""

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime

import httpx
from fastapi import FastAPI
from pydantic import SecretStr

from admin.app import create_app
from admin.config import Settings
from admin.desk import Desk
from admin.effective import effective
from admin.security import Hosts
from common.bus import Bus, connect
from common.errors import SinkUnavailable
from common.event import Event, parse_time
from common.sink import StoredEvent

TOKEN = "a-token-that-is-long-enough"


@dataclass
class FakeSink:
    """Keeps what it is handed in memory.

    Attributes:
        kept: What it answers.
        away: What it raises instead.
    """

    kept: list[StoredEvent] = field(default_factory=list)
    away: SinkUnavailable | None = None

    async def check(self) -> str:
        self._answer()
        return "a fake sink"

    def point(self, event: Event) -> Event:
        return event

    async def write(self, points: Sequence[Event]) -> None:
        del points

    async def prove(self, points: Sequence[Event]) -> None:
        del points
        self._answer()

    async def events(
        self, start: datetime, end: datetime, entity_id: str | None = None, limit: int = 100
    ) -> list[StoredEvent]:
        return self._between(start, end, entity_id)[::-1][:limit]

    async def history(
        self, entity_id: str, start: datetime, end: datetime, limit: int = 1000
    ) -> list[StoredEvent]:
        return self._between(start, end, entity_id)[:limit]

    async def close(self) -> None:
        pass

    def _between(self, start: datetime, end: datetime, entity_id: str | None) -> list[StoredEvent]:
        self._answer()
        return [
            event
            for event in sorted(self.kept, key=lambda event: event.time)
            if start <= parse_time(event.time) < end and entity_id in {None, event.entity_id}
        ]

    def _answer(self) -> None:
        if self.away is not None:
            raise self.away


@dataclass
class Admin:
    """What a test talks to: `client` has the token, `stranger` has none."""

    app: FastAPI
    client: httpx.AsyncClient
    stranger: httpx.AsyncClient
    bus: Bus
    sink: FakeSink


@asynccontextmanager
async def admin_on(redis_url: str, settings: Settings | None = None) -> AsyncIterator[Admin]:
    """Make an application on this Redis, as these settings of admin say."""
    settings = settings or Settings(admin_token=SecretStr(TOKEN))
    sink = FakeSink()
    async with connect(redis_url) as bus:
        desk = Desk(
            bus=bus,
            sink=sink,
            home="home",
            read_only=settings.admin_read_only,
            settings=effective({"admin": settings}),
            retention_days=settings.dead_retention_days,
        )
        app = create_app(
            *(desk, TOKEN, Hosts()),
            root_path=settings.admin_root_path,
            cors_origins=settings.admin_cors_origins,
        )
        transport = httpx.ASGITransport(app=app)
        bearer = {"Authorization": f"Bearer {TOKEN}"}
        async with (
            httpx.AsyncClient(
                transport=transport, base_url="http://localhost", headers=bearer
            ) as client,
            httpx.AsyncClient(transport=transport, base_url="http://localhost") as stranger,
        ):
            yield Admin(app, client, stranger, bus, sink)


def routes_of(app: FastAPI) -> list[tuple[str, str]]:
    """(method, path) of every route that the application has, however it was added."""
    found: list[tuple[str, str]] = []
    for route in app.routes:
        # From FastAPI 0.16x on a router that was included is one route that holds others.
        contexts = getattr(route, "effective_route_contexts", None)
        for one in contexts() if contexts else [route]:
            methods: set[str] = getattr(one, "methods", None) or set()
            path = re.sub(r"{(\w+):\w+}", r"{\1}", getattr(one, "path", ""))
            found += [(method, path) for method in sorted(methods)]
    return found

"""Everything in one process: the one file that may open the other rooms' front doors."""

import asyncio
import secrets
import socket
import tempfile
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

from pydantic import SecretStr

import admin.__main__ as admin
import enrich.__main__ as enrich
import ingest.__main__ as ingest
import store.__main__ as store
from admin import own_redis
from admin.config import Settings as AdminSettings
from admin.demo import Silence, end_after, ledger_at_end, say_when_stored, say_where
from admin.doctor import Home
from admin.embedded_redis import EmbeddedRedis, embedded_redis
from common.config import Settings, Token
from common.environment import DEFAULT
from common.errors import InvalidSetting
from common.lifecycle import Stopped, run
from common.logs import hide, logger, start_logging
from enrich.config import Settings as EnrichSettings
from ingest.config import Settings as IngestSettings
from ingest.simulator.server import Simulator
from store.config import Settings as StoreSettings

_IN_DATA: Final = {
    "ingest_spool_path": "spool.db",
    "store_sqlite_path": "events.db",
    "admin_token_path": "admin_token",
}
"""Setting → its file in the data folder, where it is not set."""

AnySettings = TypeVar("AnySettings", bound=Settings)
log = logger(__name__)


class Rooms(NamedTuple):
    """Settings of all four rooms."""

    ingest: IngestSettings
    enrich: EnrichSettings
    store: StoreSettings
    admin: AdminSettings

    @classmethod
    def from_environment(cls) -> "Rooms":
        """Read the settings of every room.

        Raises:
            InvalidSetting: When any is wrong; the message has a line for each.
        """
        kinds = (IngestSettings, EnrichSettings, StoreSettings, AdminSettings)
        return cls(*_read(kinds))  # type: ignore[arg-type] # they are in the order of the fields

    def with_values(self, values: Mapping[str, object], *, where_default: bool = False) -> "Rooms":
        """Return them with other values of some settings, in each room that has them.

        Args:
            values: Name as `redis_url` → value.
            where_default: Leave those alone that somebody has set.
        """
        return Rooms(
            _with(self.ingest, values, where_default=where_default),
            _with(self.enrich, values, where_default=where_default),
            _with(self.store, values, where_default=where_default),
            _with(self.admin, values, where_default=where_default),
        )

    async def work(self, stop: asyncio.Event, silence: Silence | None = None) -> None:
        """Run all four workers until `stop` is set, or one ends: then all end.

        Args:
            stop: Ends them.
            silence: Ends ingest before the others, when it is asked for.

        Raises:
            FatalError: When one of them needs a person.
        """
        capture = partial(ingest.main, self.ingest)
        others = {"ingest": self.ingest, "enrich": self.enrich, "store": self.store}
        await together(
            [
                capture if silence is None else partial(silence.after, capture),
                partial(enrich.main, self.enrich),
                partial(store.main, self.store),
                partial(admin.main, self.admin, others=others),
            ],
            stop,
        )


def _with(
    settings: AnySettings, values: Mapping[str, object], *, where_default: bool
) -> AnySettings:
    """A room's settings with other values, of those that it has."""
    origins = settings.origins()
    known = {
        name: value
        for name, value in values.items()
        if name in type(settings).model_fields
        and not (where_default and origins[name.upper()] != DEFAULT)
    }
    return settings.model_copy(update=known)


def run_home(data: Path, *, ephemeral: bool) -> int:
    """Run all workers for a real home; return the exit code.

    Args:
        data: Folder for what is kept.
        ephemeral: Accept a Redis that keeps nothing.
    """
    return run(partial(_home, data, ephemeral))


def run_demo(*, seconds: float, port: int, rate: float, data: Path | None, started: float) -> int:
    """Run all workers with a simulated home; return the exit code.

    Args:
        seconds: Stop after so long; 0: never.
        port: Of the dashboard; another when it is taken.
        rate: Events a second; 0: as a home has.
        data: Folder for what is kept; None: nothing is.
        started: When the command began, in seconds of `time.monotonic`.
    """
    return run(partial(_demo, seconds, port, rate, data, started))


def for_doctor() -> tuple[AdminSettings, Home, Path]:
    """Return admin's settings, how Home Assistant is reached, and where the spool is.

    Raises:
        InvalidSetting: When a setting of any room is wrong; the token may be missing.
    """
    kinds = (_WithoutToken, EnrichSettings, StoreSettings, AdminSettings)
    ingest_, _, _, admin_ = Rooms(*_read(kinds))  # type: ignore[arg-type] # in order
    token = ingest_.ha_access_token.get_secret_value()
    home = Home(ingest_.ha_websocket_url, token, ingest_.ha_ca_file)
    return admin_, home, ingest_.ingest_spool_path


class _WithoutToken(IngestSettings):
    """Settings of ingest where the token may be missing: it is set where ingest runs."""

    ha_access_token: Token = SecretStr("")


def _read(kinds: Iterable[type[Settings]]) -> list[Settings]:
    """Read the settings of several rooms.

    Raises:
        InvalidSetting: When any is wrong; the message has a line for each, once.
    """
    problems: dict[str, None] = {}
    read: list[Settings] = []
    for kind in kinds:
        try:
            read.append(kind.from_environment())
        except InvalidSetting as error:
            problems |= dict.fromkeys(str(error).splitlines())
    if problems:
        raise InvalidSetting("\n".join(problems))
    return read


async def together(
    workers: Sequence[Callable[[asyncio.Event], Awaitable[None]]], stop: asyncio.Event
) -> None:
    """Run workers until `stop` is set, or one ends; then let the others end in order.

    Raises:
        BaseExceptionGroup: What they ended with, but for a normal end.
    """

    async def one(worker: Callable[[asyncio.Event], Awaitable[None]]) -> None:
        try:
            await worker(stop)
        finally:
            stop.set()

    ends = await asyncio.gather(*map(one, workers), return_exceptions=True)
    errors = [end for end in ends if end is not None and not isinstance(end, Stopped)]
    if errors:
        raise BaseExceptionGroup("workers ended", errors)


async def _home(data: Path, ephemeral: bool, stop: asyncio.Event) -> None:  # noqa: FBT001 - partial
    rooms = Rooms.from_environment()
    start_logging(rooms.admin)  # which says what is unknown: the same to each room
    for settings in rooms:
        hide(*settings.secrets())
    rooms = rooms.with_values(
        {name: data / file for name, file in _IN_DATA.items()}, where_default=True
    )
    named = rooms.admin.origins()["REDIS_URL"] != DEFAULT
    if named and rooms.admin.redis_url != own_redis.url_in(data):  # else it was said for the others
        await rooms.work(stop)
        return
    async with embedded_redis(data / "redis", ephemeral=ephemeral) as redis:
        log.info("events wait in a Redis of our own: REDIS_URL names no other", look=redis.cli)
        await rooms.with_values({"redis_url": redis.url}).work(stop)


async def _demo(  # noqa: PLR0913, PLR0917 - one for each option
    seconds: float,
    port: int,
    rate: float,
    data: Path | None,
    started: float,
    stop: asyncio.Event,
) -> None:
    start_logging(AdminSettings(log_level="warning"))
    simulator = Simulator(demo=True)
    simulator.rate = rate or simulator.rate
    with _folder(data) as place:
        folder = Path(place)
        async with (
            embedded_redis(folder / "redis", ephemeral=True) as redis,
            simulator.serve() as home,
            ledger_at_end(redis.url) as bus,
        ):
            rooms = _rooms_of_demo(redis, home, folder, port)
            url = f"http://127.0.0.1:{rooms.admin.admin_port}/"
            say_where(url, rooms.admin.admin_token.get_secret_value(), redis)
            silence = Silence()
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(say_when_stored(bus, started, stop))
                if seconds:
                    tasks.create_task(end_after(seconds, silence, bus, stop))
                await rooms.work(stop, silence)


def _folder(data: Path | None) -> AbstractContextManager[str | Path]:
    if data is not None:
        return nullcontext(data)
    return tempfile.TemporaryDirectory(prefix="habus-demo-")


def _rooms_of_demo(redis: EmbeddedRedis, home: Simulator, folder: Path, port: int) -> Rooms:
    """Settings from nothing but the demo itself: `.env` may name a real home."""
    values: dict[str, Any] = {
        "redis_url": redis.url,
        "ha_websocket_url": home.url,
        "ha_access_token": home.token,
        "store_sink": "sqlite",
        "admin_port": _free(port),
        "admin_token": secrets.token_urlsafe(24),
        "log_level": "warning",
        **{name: folder / file for name, file in _IN_DATA.items()},
    }
    kinds = (IngestSettings, EnrichSettings, StoreSettings, AdminSettings)
    made = [
        kind(**{name: value for name, value in values.items() if name in kind.model_fields})
        for kind in kinds
    ]
    return Rooms(*made)  # type: ignore[arg-type] # in the order of the fields


def _free(port: int) -> int:
    """The port, or any that is free when it is taken."""
    try:
        listener = admin.listen("127.0.0.1", port)
    except InvalidSetting:
        listener = socket.create_server(("127.0.0.1", 0))
    with listener:
        found: int = listener.getsockname()[1]
        return found

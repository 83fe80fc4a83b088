"""Admin by itself: `python -m admin`."""

import asyncio
import contextlib
import errno
import socket
import sys
from collections.abc import Mapping
from types import MappingProxyType

from admin.alerts import Limits
from admin.app import create_app
from admin.config import Settings
from admin.desk import Desk
from admin.effective import effective
from admin.retention import keep_retained
from admin.security import Hosts, token_of
from admin.worker import keep_acquainted, keep_examining, keep_sampling, serve
from common.bus import ADMIN, Keys, connect
from common.config import Settings as AnySettings
from common.errors import InvalidSetting
from common.heartbeat import Heartbeat
from common.lifecycle import run_worker
from common.logs import hide, logger
from common.sink import open_sink
from common.slot import slot

log = logger(__name__)

CONNECTIONS = 32
"""To Redis, at once: however many ask admin, it takes no more from Redis, and no more memory."""


async def main(
    settings: Settings,
    stop: asyncio.Event,
    others: Mapping[str, AnySettings] = MappingProxyType({}),
) -> None:
    """Wire admin, and serve until `stop` is set; waits neither for Redis nor for the sink.

    Args:
        settings: Of admin.
        stop: Ends it.
        others: Name of each other worker of this process → its settings, to show them.

    Raises:
        InvalidSetting: When the port is taken, or the token cannot be kept.
    """
    token, path = token_of(settings)
    hide(token)
    listener = listen(settings.admin_host, settings.admin_port)
    with (
        slot(ADMIN, settings.worker_name, settings.redis_url, settings.bus_prefix) as name,
        listener,
    ):
        async with (
            open_sink(settings, is_made=True) as sink,
            connect(settings.redis_url, Keys(settings.bus_prefix), most=CONNECTIONS) as bus,
        ):
            desk = Desk(
                *(bus, sink, settings.ha_home_name, name),
                read_only=settings.admin_read_only,
                settings=effective({"admin": settings, **others}),
                retention_days=settings.dead_retention_days,
            )
            hosts = Hosts((*settings.admin_allowed_hosts, settings.admin_host))
            app = create_app(
                *(desk, token, hosts),
                root_path=settings.admin_root_path,
                cors_origins=settings.admin_cors_origins,
            )
            heartbeat = Heartbeat(bus, ADMIN, name)
            log.info("admin listens", url=url_of(listener), token_is_in=str(path or "ADMIN_TOKEN"))
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(heartbeat.keep_beating(stop))
                tasks.create_task(keep_sampling(bus, desk.rates, stop))
                tasks.create_task(keep_examining(desk, stop))
                tasks.create_task(keep_acquainted(desk, stop))
                tasks.create_task(desk.live.end_with(stop))
                if settings.alert_webhook_url:
                    tasks.create_task(alert(desk, settings, stop))
                tasks.create_task(desk.runner.keep_running(stop))
                days = settings.dead_retention_days
                tasks.create_task(keep_retained(desk.letters, days, stop, desk.foresee))
                await serve(app, listener, stop)
                stop.set()


async def alert(desk: Desk, settings: Settings, stop: asyncio.Event) -> None:
    """Watch the pipeline, and send what a person should know, until `stop` is set."""
    from admin import webhook  # noqa: PLC0415 - 2 MB for those only who want alerts

    limits = Limits(lag_s=settings.alert_lag_s, buffer_hours=settings.alert_buffer_hours)
    outbox = webhook.Outbox()
    url = settings.alert_webhook_url.get_secret_value()
    with contextlib.closing(webhook.Webhook(url, settings.ha_home_name)) as hook:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(webhook.keep_watching(desk, limits, outbox, stop))
            tasks.create_task(outbox.keep_sending(hook.send, stop))


def listen(host: str, port: int) -> socket.socket:
    """Open the port.

    Raises:
        InvalidSetting: When it is taken, or the address is not ours.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family)
    except OSError as error:
        advice = (
            "is habus running already? Else set another ADMIN_PORT, 0 for any that is free"
            if error.errno == errno.EADDRINUSE
            else "set ADMIN_HOST to an address of this machine, as 127.0.0.1, or 0.0.0.0 for all"
        )
        message = f"ADMIN_HOST, ADMIN_PORT: cannot listen on {host}:{port} ({error.strerror})"
        raise InvalidSetting(f"{message}; {advice}") from error


def url_of(listener: socket.socket) -> str:
    """Return the address for a browser on this machine."""
    host, port = listener.getsockname()[:2]
    name = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
    return f"http://{name}:{port}/"


if __name__ == "__main__":
    sys.exit(run_worker(Settings, main))

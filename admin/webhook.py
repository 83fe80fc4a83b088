"""The webhook: notices on their way to a person."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

import msgspec
import urllib3

from admin.alerts import Alerts, Limits, Notice, conditions
from admin.desk import Desk
from common import __version__
from common.backoff import delays
from common.errors import PipelineError, TransientError
from common.event import parse_time
from common.lifecycle import pause
from common.logs import OncePerMinute, logger
from common.sink.deadline import POOLS, DeadlinePassed, in_thread

LOOK_EVERY_S: Final = 10.0
"""Seconds between two looks at the pipeline."""

ANSWER_WITHIN_S: Final = 10.0
"""Seconds that a webhook may take for its answer."""

LONGEST_WAIT_S: Final = 300.0
"""Longest pause before a notice that was refused is sent again."""

ACCEPTED: Final = range(200, 300)
"""Statuses after which a notice is not sent again."""

log = logger(__name__)


class NotDelivered(TransientError):
    """The webhook does not take a notice; never says where it is, for that may be a secret."""


class Outbox:
    """Notices that wait to be sent: of each alert the newest, so it cannot grow."""

    def __init__(self) -> None:
        self._waiting: dict[str, Notice] = {}
        self._more = asyncio.Event()

    def put(self, notices: Iterable[Notice]) -> None:
        """Take notices; one that still waits is replaced by a newer one of its alert."""
        for notice in notices:
            self._waiting[notice.alert] = notice
            self._more.set()

    async def keep_sending(
        self, send: Callable[[Notice], Awaitable[None]], stop: asyncio.Event
    ) -> None:
        """Send until `stop` is set; what is refused is sent again, with growing pauses.

        What is under way when `stop` is set is given up: nobody waits for a webhook to end.
        """
        stopping = asyncio.create_task(stop.wait())
        sending: asyncio.Future[None] | None = None
        warn = OncePerMinute(log.warning)
        waits = delays(random.random, first=1.0, cap=LONGEST_WAIT_S)
        try:
            while not stop.is_set():
                if not self._waiting:
                    self._more.clear()
                    more = asyncio.create_task(self._more.wait())
                    await asyncio.wait({more, stopping}, return_when=asyncio.FIRST_COMPLETED)
                    more.cancel()
                    continue
                alert, notice = next(iter(self._waiting.items()))
                sending = asyncio.ensure_future(send(notice))
                await asyncio.wait({sending, stopping}, return_when=asyncio.FIRST_COMPLETED)
                if not sending.done():
                    return
                try:
                    sending.result()
                except NotDelivered as error:
                    warn(str(error), "An alert could not be sent; trying again", error=str(error))
                    await pause(stop, next(waits))
                else:
                    waits = delays(random.random, first=1.0, cap=LONGEST_WAIT_S)
                    if self._waiting.get(alert) is notice:
                        del self._waiting[alert]
        finally:
            stopping.cancel()
            if sending is not None:
                sending.cancel()


class Webhook:
    """POSTs notices as JSON.

    Args:
        url: Where; it is never logged.
        home: Name of the home, for people with more than one.
    """

    def __init__(self, url: str, home: str) -> None:
        self._url = url
        self._home = home
        self._pool = urllib3.PoolManager(retries=False)
        self._pool.pool_classes_by_scheme = POOLS

    async def send(self, notice: Notice) -> None:
        """Send one notice.

        Raises:
            NotDelivered: When it was not accepted; send it again.
        """
        body = message_of(notice, self._home)
        try:
            status = await in_thread(lambda: self._post(body), ANSWER_WITHIN_S)
        except DeadlinePassed:
            raise NotDelivered("the webhook did not answer in time") from None
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            # Its text names the address, and thus perhaps a secret.
            raise NotDelivered(f"the webhook cannot be reached: {type(error).__name__}") from None
        if status not in ACCEPTED:
            raise NotDelivered(f"the webhook (ALERT_WEBHOOK_URL) answered {status}")

    def close(self) -> None:
        """Let go of the connections."""
        self._pool.clear()

    def _post(self, body: bytes) -> int:
        response = self._pool.request(
            "POST",
            self._url,
            body=body,
            headers={"Content-Type": "application/json", "User-Agent": f"habus/{__version__}"},
            timeout=ANSWER_WITHIN_S,
            redirect=False,
            preload_content=False,
        )
        response.close()  # its status says everything
        return response.status


def message_of(notice: Notice, home: str) -> bytes:
    """Write a notice as JSON: `text` for chats, the rest for automations and templates."""
    resolved = notice.status == "resolved"
    title = f"Resolved: {notice.title}" if resolved else notice.title
    message = f"It lasted {notice.lasted_s:.0f} seconds." if resolved else notice.remedy
    return msgspec.json.encode(
        {
            "source": "habus",
            "home": home,
            "alert": notice.alert,
            "status": notice.status,
            "severity": notice.severity,
            "title": f"habus ({home}): {title}",
            "message": message,
            "text": f"habus ({home}): {title}. {message}",
            "lasted_s": notice.lasted_s,
        }
    )


async def keep_watching(desk: Desk, limits: Limits, outbox: Outbox, stop: asyncio.Event) -> None:
    """Look at the pipeline every `LOOK_EVERY_S` seconds until `stop` is set."""
    alerts, warn = Alerts(), OncePerMinute(log.warning)
    while not stop.is_set():
        try:
            seen = await desk.overview(by_reason=False)
        except PipelineError as error:
            warn(str(error), "Cannot look for what is worth an alert", error=str(error))
        else:
            found = conditions(seen, limits, parse_time(desk.now()))
            is_blind = seen.redis_error is not None
            outbox.put(alerts.decide(found, time.monotonic(), is_blind=is_blind))
        await pause(stop, LOOK_EVERY_S)

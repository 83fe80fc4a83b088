"""Notices on their way to a person, against a real HTTP server."""

import asyncio
import json
from contextlib import asynccontextmanager
from unittest.mock import patch

import pytest

from admin.alerts import Limits, Notice
from admin.config import Settings
from admin.desk import Desk
from admin.fake_redis import fake_redis
from admin.webhook import NotDelivered, Outbox, Webhook, keep_watching, message_of
from common.bus import connect
from tests.fakes.desk import FakeSink
from tests.fakes.servers import free_port
from tests.fakes.until import until

pytestmark = pytest.mark.integration

SECRET = "s3cret-topic"
NOTICE = Notice(
    alert="gap", status="firing", severity="warning", title="a gap", remedy="look", lasted_s=0
)


class Receiver:
    """Takes what is POSTed; answers as told, or never."""

    def __init__(self):
        self.bodies = []
        self.heads = []
        self.answers = []
        self.port = 0

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/hooks/{SECRET}?tpl=1&m={{{{.message}}}}"

    async def _serve(self, reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = int(head.lower().split("content-length:")[1].split("\r\n")[0])
        self.bodies.append(json.loads(await reader.readexactly(length)))
        self.heads.append(head)
        answer = self.answers.pop(0) if self.answers else 200
        if answer is None:
            await reader.read()
        else:
            location = "Location: http://127.0.0.1:1/\r\n" if answer == 302 else ""
            page = b"x" * 100_000
            writer.write(
                f"HTTP/1.1 {answer} X\r\n{location}Content-Length: 100000\r\n\r\n".encode()
            )
            writer.write(page)
        writer.close()

    @asynccontextmanager
    async def listening(self):
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        async with server:
            yield self


@pytest.fixture
async def receiver():
    async with Receiver().listening() as found:
        yield found


@pytest.fixture
def short_waits():
    """Waits between tries are short."""
    with patch("admin.webhook.delays", lambda *_, **__: iter([0.02] * 1000)):
        yield


async def test_a_notice_is_json_for_people_and_for_machines(receiver):
    """One POST with `text` for chats, `title` and `message` for templates, the rest for rules."""
    hook = Webhook(receiver.url, "home")
    await hook.send(NOTICE)
    hook.close()
    (body,) = receiver.bodies
    assert body == {
        "source": "habus",
        "home": "home",
        "alert": "gap",
        "status": "firing",
        "severity": "warning",
        "title": "habus (home): a gap",
        "message": "look",
        "text": "habus (home): a gap. look",
        "lasted_s": 0.0,
    }
    assert receiver.heads[0].startswith(f"POST /hooks/{SECRET}?tpl=1&m=")
    assert "application/json" in receiver.heads[0]


def test_the_end_of_an_alert_says_what_it_was():
    """A recovery repeats the title and says how long it lasted."""
    notice = Notice(
        **{name: getattr(NOTICE, name) for name in ("alert", "severity", "title", "remedy")},
        status="resolved",
        lasted_s=75.2,
    )
    body = json.loads(message_of(notice, "home"))
    assert body["title"] == "habus (home): Resolved: a gap"
    assert body["message"] == "It lasted 75 seconds."


@pytest.mark.parametrize("answer", [302, 400, 401, 404, 410, 429, 500, 503])
async def test_a_refusal_is_said_without_the_address(receiver, answer):
    """Only 2xx is delivered; no redirect is followed; the message names status and variable."""
    receiver.answers = [answer]
    hook = Webhook(receiver.url, "home")
    with pytest.raises(NotDelivered, match=str(answer)) as caught:
        await hook.send(NOTICE)
    hook.close()
    assert SECRET not in repr(caught.value)
    assert "ALERT_WEBHOOK_URL" in str(caught.value)


async def test_what_cannot_be_reached_is_said_without_the_address(receiver):
    """No listener, no such name, and no answer in time are NotDelivered, and keep the secret."""
    receiver.answers = [None]
    for url in (
        f"http://127.0.0.1:{free_port()}/{SECRET}",
        f"http://{SECRET}.invalid/",
        receiver.url,
    ):
        hook = Webhook(url, "home")
        with patch("admin.webhook.ANSWER_WITHIN_S", 0.5), pytest.raises(NotDelivered) as caught:
            await hook.send(NOTICE)
        hook.close()
        assert SECRET not in repr(caught.value)
        assert caught.value.__cause__ is None


@pytest.mark.usefixtures("short_waits")
async def test_what_is_refused_is_sent_again_until_it_is_taken(receiver):
    """A webhook that refuses three times gets the notice a fourth time, and then no more."""
    receiver.answers = [500, 404, 503]
    hook, outbox, stop = Webhook(receiver.url, "home"), Outbox(), asyncio.Event()
    sending = asyncio.create_task(outbox.keep_sending(hook.send, stop))
    outbox.put([NOTICE])
    await until(lambda: len(receiver.bodies) == 4, within_s=20)
    stop.set()
    await asyncio.wait_for(sending, 5)
    hook.close()
    assert outbox._waiting == {}


async def test_a_webhook_that_never_answers_does_not_keep_admin_from_ending(receiver):
    """A stop does not wait for the answer to a notice."""
    receiver.answers = [None]
    hook, outbox, stop = Webhook(receiver.url, "home"), Outbox(), asyncio.Event()
    with patch("admin.webhook.ANSWER_WITHIN_S", 60.0):
        sending = asyncio.create_task(outbox.keep_sending(hook.send, stop))
        outbox.put([NOTICE])
        await until(lambda: receiver.bodies)
        stop.set()
        await asyncio.wait_for(sending, 20)
    hook.close()


@pytest.mark.usefixtures("short_waits")
async def test_of_each_alert_the_newest_waits():
    """While the webhook is away nothing piles up; what came last is what is told."""
    sent, is_away, stop, outbox = [], [True], asyncio.Event(), Outbox()

    async def send(notice):
        if is_away:
            raise NotDelivered("away")
        sent.append(notice)

    sending = asyncio.create_task(outbox.keep_sending(send, stop))
    for n in range(1000):
        outbox.put(
            [
                Notice(
                    alert=f"a{n % 3}",
                    status="firing",
                    severity="warning",
                    title=str(n),
                    remedy="r",
                    lasted_s=0,
                )
            ]
        )
    await asyncio.sleep(0)
    assert len(outbox._waiting) == 3
    is_away.clear()
    await until(lambda: len(sent) == 3)
    assert {notice.title for notice in sent} == {"997", "998", "999"}
    stop.set()
    await asyncio.wait_for(sending, 5)


async def test_a_pipeline_without_workers_is_told_end_to_end(receiver):
    """From an empty Redis to the webhook: each missing worker is one notice; a stop ends it."""
    stop, outbox = asyncio.Event(), Outbox()
    hook = Webhook(receiver.url, "home")
    limits = Limits(lag_s=300, buffer_hours=2)
    with (
        fake_redis() as port,
        patch("admin.webhook.LOOK_EVERY_S", 0.05),
        patch("admin.alerts.GONE_S", 0.1),
    ):
        async with connect(f"redis://127.0.0.1:{port}/0") as bus, asyncio.TaskGroup() as tasks:
            desk = Desk(bus=bus, sink=FakeSink(), home="home")
            tasks.create_task(keep_watching(desk, limits, outbox, stop))
            tasks.create_task(outbox.keep_sending(hook.send, stop))
            await until(lambda: len(receiver.bodies) == 3, within_s=20)
            stop.set()
    hook.close()
    assert {body["alert"] for body in receiver.bodies} == {
        "worker_ingest",
        "worker_enrich",
        "worker_store",
    }


def test_the_address_is_a_secret_and_checked(tmp_path):
    """It may stand in a file, is masked, and must be an address."""
    (tmp_path / "url").write_text(f"https://ntfy.sh/{SECRET}\n")
    named = {"ALERT_WEBHOOK_URL_FILE": str(tmp_path / "url")}
    settings = Settings.from_environment(named, tmp_path / ".env")
    assert SECRET not in repr(settings)
    assert f"https://ntfy.sh/{SECRET}" in settings.secrets()
    with pytest.raises(Exception, match="ALERT_WEBHOOK_URL") as caught:
        Settings.from_environment({"ALERT_WEBHOOK_URL": f"ftp://{SECRET}"}, tmp_path / ".env")
    assert SECRET not in str(caught.value)

"""A real Chromium, a real admin, a real Redis."""

import json
import os
import socket
import time
from datetime import UTC, datetime

import pytest

from tests.fakes.admin_thread import AdminThread
from tests.fakes.servers import require

CANARY = "<img src=x onerror=document.title='broken'>"
"""What would become an element, and run, if a text became markup."""

SIZES = {"phone": (360, 740), "tablet": (768, 900), "desk": (1280, 800)}


def pytest_collection_modifyitems(items):
    for item in items:
        if "tests/browser/" in item.path.as_posix():
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="module")
def chromium():
    """The system's Chromium; playwright brings only its driver.

    Playwright's loop runs as long as the driver does, so it ends before tests with loops of
    their own begin.
    """
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = os.environ.get("CHROMIUM") or require("chromium", "chromium-browser", "google-chrome")
    arguments = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=arguments)
        yield browser
        browser.close()


class Bus:
    """Writes to the streams as the workers would, without a loop."""

    def __init__(self, server):
        self._server = server

    def ask(self, *words):
        return self._server.ask(*map(str, words))

    def add(self, stream, event, entity="sensor.kitchen", data=None, **more):
        """Append an entry whose event id is `event`; the data is JSON text."""
        fields = {
            "v": "1",
            "id": event,
            "type": "state_changed",
            "entity_id": entity,
            "time": datetime.now(UTC).isoformat(),
            "source": "live",
            "home": "home",
            "data": data or enriched(entity),
            **more,
        }
        flat = [part for pair in fields.items() for part in pair]
        assert self.ask("XADD", f"ha:{stream}", "*", *flat)

    def pour(self, stream, data, a_second, over):
        """Append so many events a second until `over` is set; return how many a second it was."""
        key, sent, began = f"ha:{stream}", 0, time.monotonic()
        with socket.create_connection(("127.0.0.1", self._server.port)) as connection:
            while not over.wait(0.01):
                due = int((time.monotonic() - began) * a_second) - sent
                lines = [_command("XADD", key, "*", *_flat(sent + n, data)) for n in range(due)]
                connection.sendall(b"".join(lines))
                answers = b""
                while answers.count(b"\r\n") < 2 * due:
                    answers += connection.recv(65536)
                sent += due
        return sent / (time.monotonic() - began)

    def bury(self, event, entity="sensor.kitchen", data=None, reason="malformed_event"):
        """Append a dead letter of stage `enrich`, and count it."""
        self.add(
            *("dead", event, entity, data or raw(entity, state=5)),
            dead_stage="enrich",
            dead_reason=reason,
            dead_error=f"not an event: {CANARY}",
            dead_detail=json.dumps({"traceback": CANARY}),
            dead_origin="ha:raw",
            dead_origin_id="1-1",
            dead_deliveries="1",
            dead_worker="attic",
            dead_at=datetime.now(UTC).isoformat(),
            dead_fingerprint=f"print-{reason}",
        )
        for counter in ("captured", "dead", "buried"):
            self.ask("HINCRBY", "ha:ledger", counter, 1)


def _flat(number, data):
    fields = {"v": 1, "id": number, "type": "state_changed", "entity_id": f"sensor.n{number}"}
    fields |= {"time": datetime.now(UTC).isoformat(), "source": "live", "home": "home"}
    return [part for pair in {**fields, "data": data}.items() for part in pair]


def _command(*words):
    parts = [str(word).encode() for word in words]
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(p), p) for p in parts)


def enriched(entity, state="21.5"):
    return json.dumps(
        {
            "domain": "sensor",
            "object_id": entity.partition(".")[2],
            "state": state,
            "value": 21.5,
            "available": True,
            "unit": "°C",
            "friendly_name": CANARY,
            "area": CANARY,
            "device": CANARY,
        }
    )


def raw(entity, state):
    """What Home Assistant fires; enrich takes a state only when it is a text."""
    new = {"entity_id": entity, "state": state, "attributes": {"friendly_name": CANARY}}
    return json.dumps(
        {"event_type": "state_changed", "data": {"entity_id": entity, "new_state": new}}
    )


@pytest.fixture
def bus(redis_server):
    assert redis_server.ask("FLUSHALL") == "+OK"
    return Bus(redis_server)


@pytest.fixture
def settings():
    """More settings of the admin."""
    return {}


@pytest.fixture
def admin(bus, redis_server, tmp_path, settings):
    """The admin, running on a bus that holds nothing."""
    del bus
    thread = AdminThread(redis_server.url, tmp_path, **settings)
    thread.start()
    yield thread
    thread.stop()


class Visit:
    """A page of the dashboard in a browser, and everything that went wrong in it."""

    def __init__(self, page, url):
        self.page, self.url, self.wrong = page, url, []
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.wrong.append(f"error: {error}"))
        page.on("dialog", lambda dialog: self.wrong.append(f"dialog: {dialog.message}"))
        page.on("request", self._asked)

    def log_in(self, token=AdminThread.token):
        """Log in; the refusal of the first look is the only error that may be told."""
        self.page.goto(f"{self.url}/")
        self.page.fill("#token", token)
        self.page.keyboard.press("Enter")
        self.page.wait_for_selector("nav a")
        self.wrong = [text for text in self.wrong if "401" not in text]

    def open(self, page):
        """Open a page of the dashboard, and return when it stands."""
        self.page.goto(f"{self.url}/#/{page}")
        self.page.wait_for_selector("main h1")

    def until(self, expression, within_s=20.0):
        """Wait until an expression of JavaScript is true; the page's policy forbids its own way."""
        wait_for(lambda: self.page.evaluate(expression), within_s)

    def texts(self, selector):
        return self.page.locator(selector).all_inner_texts()

    def _said(self, message):
        if message.type == "error":
            self.wrong.append(f"console: {message.text}")

    def _asked(self, request):
        if not request.url.startswith((self.url, "data:", "blob:")):
            self.wrong.append(f"request: {request.url}")


@pytest.fixture
def visit(chromium, admin):
    """Make visits; at the end nothing may have gone wrong in any."""
    contexts, visits = [], []

    def new(size="desk", scheme="light"):
        width, height = SIZES[size]
        context = chromium.new_context(
            viewport={"width": width, "height": height},
            color_scheme=scheme,
            reduced_motion="reduce",
        )
        contexts.append(context)
        found = Visit(context.new_page(), admin.url)
        visits.append(found)
        return found

    yield new
    wrong = [text for one in visits for text in one.wrong]
    for context in contexts:
        context.close()
    assert wrong == []


@pytest.fixture
def desk(visit):
    """A visit of somebody who has logged in."""
    found = visit()
    found.log_in()
    return found


def wait_for(condition, within_s=20.0):
    """Wait until a function is true, without a loop."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.02)

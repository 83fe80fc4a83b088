"""Every page: to be used by everybody, on any screen, and by nobody's text to be broken."""

import json
from datetime import UTC, datetime

import pytest

from tests.browser.conftest import CANARY, enriched, raw

PAGES = (
    *("", "live", "live?stream=dead", "dead", "jobs", "streams", "entities", "workers"),
    *("preview", "settings", "setup", "more", "nothing-here"),
)


@pytest.fixture
def full(bus):
    """A bus on which something of everything lies, named as an attacker would."""
    now = datetime.now(UTC).isoformat()
    entity = f"sensor.{CANARY}"
    bus.add("raw", "one", entity, raw(entity, "21.5"))
    bus.add("enriched", "one", entity, enriched(entity, CANARY))
    bus.bury("two", entity, reason="malformed_event")
    bus.bury("three", entity, reason=CANARY)
    bus.ask("XGROUP", "CREATE", "ha:raw", "enrich", "0")
    bus.ask("XREADGROUP", "GROUP", "enrich", CANARY, "COUNT", 1, "STREAMS", "ha:raw", ">")
    worker = {
        "version": "0.1.0",
        "host": CANARY,
        "pid": 1,
        "started": now,
        "beat": now,
        "progress": now,
        "counters": json.dumps({CANARY: 3}),
        "last_error": CANARY,
        "dependencies": json.dumps({"home_assistant": f"down: {CANARY}", CANARY: "up"}),
    }
    flat = [part for pair in worker.items() for part in pair]
    bus.ask("HSET", f"ha:worker:ingest:{CANARY.replace(':', '')}", *flat)
    gaps = [{"from": now, "to": now, "seconds": 3, "reason": CANARY, "entities": [CANARY]}]
    bus.ask("HSET", "ha:watermark", "gaps", json.dumps(gaps))
    return bus


def pages_of(bus, visit):
    """Every page, also those of one event, one letter, one entity."""
    del bus
    visit.open("live")
    visit.page.wait_for_selector("#rows a")
    event = visit.page.get_attribute("#rows a", "href")
    visit.open("dead")
    visit.page.wait_for_selector("main table a")
    letter = visit.page.get_attribute("main table a", "href")
    entity = f"entity/sensor.{CANARY}".replace("<", "%3C").replace(">", "%3E").replace(" ", "%20")
    return [*PAGES, event[2:], letter[2:], entity]


@pytest.mark.parametrize(
    ("size", "scheme"),
    [
        ("phone", "light"),
        ("phone", "dark"),
        ("tablet", "light"),
        ("tablet", "dark"),
        ("desk", "light"),
        ("desk", "dark"),
    ],
)
def test_every_page_is_fit_for_everybody(full, visit, size, scheme, tmp_path):
    """Axe finds nothing, nothing is wider than the screen, and no text became markup."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    one = visit(size, scheme)
    one.log_in()
    for page in pages_of(full, one):
        one.open(page)
        one.page.wait_for_timeout(150)
        found = axe.run(one.page).response["violations"]
        told = [(rule["id"], [node["html"][:200] for node in rule["nodes"]]) for rule in found]
        assert told == [], f"{page} at {size}, {scheme}"
        width = one.page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert width <= 0, f"{page} is {width} px too wide at {size}"
        assert one.page.locator("main img, main script, main iframe").count() == 0, page
        assert one.page.title() != "broken", page
        assert one.page.locator("h1").count() == 1, page
        one.page.screenshot(path=tmp_path / f"{page.partition('/')[0] or 'overview'}.png")


@pytest.mark.parametrize("size", ["phone", "desk"])
def test_the_description_of_the_api_is_fit_for_everybody(visit, size):
    """Each operation stands there with an example, below the page's own path; axe finds nothing."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    one = visit(size, "dark")
    one.log_in()
    one.page.goto(f"{one.url}/docs#listEvents")
    one.page.wait_for_selector("text=/version .* operations/")
    assert axe.run(one.page).response["violations"] == []
    assert one.page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    described = one.page.evaluate(
        "async () => Object.keys((await (await fetch('openapi.json')).json()).paths)"
    )
    told = one.page.inner_text("main")
    assert all(path in told for path in described)
    assert f"'{one.url}/api/v1/health/store'" in told
    assert one.page.is_visible("#listEvents")


def test_login_is_fit_for_everybody(visit):
    """The page that asks for the token, too."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    for size, scheme in (("phone", "dark"), ("desk", "light")):
        one = visit(size, scheme)
        one.page.goto(one.url)
        one.wrong.clear()
        assert axe.run(one.page).response["violations"] == []
        assert one.page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0


def test_login_and_logout(visit):
    """A wrong token is told, the right one opens, and after the end nothing is shown."""
    one = visit()
    one.page.goto(one.url)
    one.page.fill("#token", "not-the-token")
    one.page.keyboard.press("Enter")
    one.page.wait_for_selector("text=This is not the token")
    one.log_in()
    assert one.page.evaluate("document.cookie") == ""
    one.page.wait_for_selector("h1:has-text('Overview')")
    one.page.click("#logout")
    one.page.wait_for_selector("#token")
    one.wrong = [text for text in one.wrong if "401" not in text]


def test_by_keyboard_alone(desk, bus):
    """Keys lead to the pages, to the filter, to the list of keys; focus comes back from it."""
    bus.add("enriched", "one")
    page = desk.page
    page.wait_for_selector("h1:has-text('Overview')")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.keyboard.press("g")
    page.keyboard.press("l")
    page.wait_for_selector("h1:has-text('Live events')")
    page.wait_for_selector("#rows a")
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.type") == "search"
    page.keyboard.type("g d nothing like that")
    desk.until("document.querySelectorAll('#rows li').length === 0")
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("Space")
    page.wait_for_selector("button:has-text('Go on')")
    page.focus("#help")
    page.keyboard.press("Enter")
    page.wait_for_selector("dialog[open]")
    page.keyboard.press("Escape")
    desk.until("!document.querySelector('dialog')")
    assert page.evaluate("document.activeElement.id") == "help"


def test_the_theme_is_kept(desk):
    """A theme that was chosen stays after the page is loaded again."""
    page = desk.page
    page.click("#theme")
    page.click("#theme")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.reload()
    page.wait_for_selector("h1:has-text('Overview')")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == dark


def test_what_is_missing_is_a_step_and_no_error(desk, bus):
    """Until something was stored the overview says what to set up; afterwards what is wrong."""
    desk.page.wait_for_selector("h2:has-text('Setting up')")
    desk.page.wait_for_selector("text=docker compose up -d ingest")
    assert desk.page.locator(".attention").count() == 0
    assert "unknown" not in desk.page.inner_text(".pipeline li.branch")
    bus.ask("HINCRBY", "ha:ledger", "captured", 1)
    bus.ask("HINCRBY", "ha:ledger", "stored", 1)
    desk.page.wait_for_selector(".attention >> text=No worker of stage ingest is alive.")
    assert desk.page.locator("h2:has-text('Setting up')").count() == 0


def test_a_long_state_leaves_room_for_the_rest(desk, bus):
    """A state of 255 characters is cut in the table of entities, and stands whole elsewhere."""
    bus.add("enriched", "one", "sensor.long", enriched("sensor.long", "x" * 255))
    desk.open("entities")
    desk.page.wait_for_selector("main table >> text=sensor.long")
    assert (
        desk.page.evaluate(
            "(box => box.scrollWidth - box.clientWidth)(document.querySelector('main .scroll'))"
        )
        <= 0
    )


def test_an_address_that_cannot_be_read_is_no_page(desk):
    """What is typed wrong behind `#` is told, and breaks nothing."""
    desk.open("%E0%A4%A")
    desk.page.wait_for_selector("text=There is no such page")


def test_an_entity_has_a_history(desk, admin, bus):
    """Points become a chart, a table and a file that no spreadsheet takes for formulas."""
    del admin, bus
    desk.open("entity/sensor.kitchen")
    desk.page.wait_for_selector("text=Nothing is stored of this time")
    assert not desk.page.is_visible(".uplot canvas")
    made = desk.page.evaluate(
        """async () => (await import('./static/js/csv.js')).csv(
             [{time: 't', entity_id: '=cmd()', state: 'a"b,c', value: -1}])"""
    )
    assert made.splitlines()[1] == """t,'=cmd(),"a""b,c",-1,,,,,"""


@pytest.mark.parametrize("settings", [{"admin_root_path": "/habus"}], ids=["below a path"])
def test_it_lives_below_a_path(visit, bus, settings):
    """Behind a proxy that serves it below a path, nothing is asked for outside of that path."""
    one = visit()
    one.url += settings["admin_root_path"]
    one.log_in()
    bus.add("enriched", "one", "sensor.one")
    bus.bury("two", "sensor.two")
    one.open("live")
    one.page.wait_for_selector("#rows >> text=sensor.one")
    one.open("dead")
    one.page.click("main table >> text=sensor.two")
    one.page.click("button:text-is('Replay')")
    one.page.wait_for_selector("text=Back on ha:inbox")

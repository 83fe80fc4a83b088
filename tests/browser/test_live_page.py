"""The live page: what passes is seen, held, filtered, and nothing is missed."""

import os
import threading
import time

from tests.browser.conftest import enriched, wait_for

SECONDS = float(os.environ.get("BROWSER_FLOOD_SECONDS", "4"))
"""How long events pour in; 60 for the figure of the README."""

A_SECOND = 1000


def rows(visit):
    return visit.page.locator("#rows li").count()


def entities(visit):
    return visit.texts("#rows li b")


def test_a_row_appears(desk, bus):
    """What is appended to a stream stands in the page soon, newest first."""
    bus.add("enriched", "zero", "sensor.before")
    desk.open("live")
    desk.page.wait_for_selector("#rows >> text=sensor.before")
    bus.add("enriched", "one", "sensor.one")
    desk.page.wait_for_selector("#rows >> text=sensor.one", timeout=20_000)
    bus.add("enriched", "two", "sensor.two")
    desk.page.wait_for_selector("#rows >> text=sensor.two", timeout=20_000)
    assert entities(desk) == ["sensor.two", "sensor.one", "sensor.before"]
    desk.page.click("text=sensor.two")
    desk.page.wait_for_selector("h1:has-text('sensor.two')")
    desk.page.wait_for_selector("text=redis-cli XRANGE ha:enriched")
    desk.page.wait_for_selector("text=sensor,area=")


def test_pause_and_filter(desk, bus):
    """While it is held nothing moves; then all is there; a filter leaves what matches."""
    bus.add("enriched", "zero", "sensor.zero")
    desk.open("live")
    desk.page.wait_for_selector("#rows >> text=sensor.zero")
    desk.page.click("button:has-text('Pause')")
    bus.add("enriched", "one", "light.one")
    desk.page.wait_for_selector("text=Paused: 2 came")
    assert entities(desk) == ["sensor.zero"]
    desk.page.click("button:has-text('Go on')")
    desk.page.wait_for_selector("#rows >> text=light.one")
    desk.page.fill("[data-filter]", "LIGHT")
    desk.until("document.querySelectorAll('#rows li').length === 1")
    bus.add("enriched", "two", "sensor.two")
    bus.add("enriched", "three", "light.three")
    desk.page.wait_for_selector("#rows >> text=light.three")
    assert entities(desk) == ["light.three", "light.one"]
    desk.page.fill("[data-filter]", "")
    desk.until("document.querySelectorAll('#rows li').length === 4")
    desk.page.select_option("select[name=stream]", "dead")
    desk.until("document.querySelectorAll('#rows li').length === 0")
    bus.bury("four", "sensor.dead")
    desk.page.wait_for_selector("#rows >> text=malformed_event")


def test_a_restart_leaves_no_hole(desk, bus, admin):
    """What passed while admin was away is there when it is back, once."""
    desk.open("live")
    bus.add("enriched", "0", "sensor.n0")
    desk.page.wait_for_selector("#rows >> text=sensor.n0")
    admin.stop()
    desk.page.wait_for_selector("text=Connection lost")
    for n in range(1, 80):
        bus.add("enriched", str(n), f"sensor.n{n}")
    admin.start()
    desk.until("document.querySelectorAll('#rows li').length >= 80", within_s=40)
    bus.add("enriched", "80", "sensor.n80")
    desk.page.wait_for_selector("#rows >> text=sensor.n80")
    assert entities(desk) == [f"sensor.n{n}" for n in range(80, -1, -1)]
    # The page asked while nobody was there.
    desk.wrong = [text for text in desk.wrong if "ERR_CONNECTION" not in text]
    desk.wrong = [text for text in desk.wrong if "ERR_INCOMPLETE_CHUNKED" not in text]


def test_a_flood_leaves_the_page_alive(desk, bus):
    """Under a thousand events a second there are at most 200 rows, and buttons answer."""
    desk.open("live")
    desk.page.wait_for_selector("text=Live: 0 came")
    over = threading.Event()

    def pour():
        data = enriched("sensor.flood")
        began, sent = time.monotonic(), 0
        while not over.is_set():
            due = int((time.monotonic() - began) * A_SECOND)
            for _ in range(sent, min(due, sent + 200)):
                bus.add("enriched", str(sent), f"sensor.flood_{sent}", data)
                sent += 1
            over.wait(0.01)

    pouring = threading.Thread(target=pour)
    pouring.start()
    try:
        most, began = 0, time.monotonic()
        while time.monotonic() - began < SECONDS:
            most = max(most, rows(desk))
        assert most == 200
        desk.page.click("button:has-text('Pause')")
        desk.page.wait_for_selector("button:has-text('Go on')")
        held = entities(desk)
        assert rows(desk) <= 200
        assert entities(desk) == held
        desk.page.click("button:has-text('Go on')")
        wait_for(lambda: entities(desk) != held)
        assert rows(desk) <= 200
    finally:
        over.set()
        pouring.join()
    memory = desk.page.evaluate("performance.memory.usedJSHeapSize")
    assert memory < 150 * 2**20

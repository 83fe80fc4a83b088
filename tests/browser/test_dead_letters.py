"""Dead letters in the browser: looked at, tried, edited, put back, deleted; one and many."""

import json

import pytest

from tests.browser.conftest import raw, wait_for


def length(bus, stream):
    return int(bus.ask("XLEN", f"ha:{stream}").removeprefix(":"))


def test_one_is_replayed(desk, bus):
    """A letter shows its cause and what would become of it, and goes back where it fell."""
    bus.bury("one", "sensor.one")
    desk.open("dead")
    desk.page.click("main table >> text=sensor.one")
    desk.page.wait_for_selector("h1:has-text('sensor.one')")
    desk.page.click("button:has-text('What would become of it now?')")
    desk.page.wait_for_selector("text=It would fall at enrich: malformed_event")
    desk.page.click("button:text-is('Replay')")
    desk.page.wait_for_selector("text=Back on ha:inbox")
    desk.page.wait_for_selector("text=No dead letter matches")
    assert length(bus, "inbox") == 1
    assert length(bus, "dead") == 0


def test_one_is_edited_and_replayed(desk, bus):
    """Edited data is tried first, then goes back in place of the old; the audit keeps that."""
    bus.bury("one", "sensor.one")
    desk.open("dead")
    desk.page.click("main table >> text=sensor.one")
    desk.page.wait_for_selector("text=As it was.")
    desk.page.fill("textarea", "{broken")
    desk.page.click("button:text-is('Replay')")
    desk.page.wait_for_selector("text=The data is no JSON")
    desk.page.fill("textarea", raw("sensor.one", "21.5"))
    desk.page.wait_for_selector("text=Edited:")
    desk.page.click("button:has-text('What would become of it now?')")
    desk.page.wait_for_selector("text=It would be stored.")
    desk.page.wait_for_selector("text=sensor,area=")
    desk.page.click("button:text-is('Replay')")
    desk.page.wait_for_selector("text=Back on ha:inbox")
    assert length(bus, "inbox") == 1
    desk.open("jobs")
    desk.page.wait_for_selector("text=replay_edited")


def test_many_are_replayed_with_the_count_that_was_seen(desk, bus):
    """When another number matches by now, the person is asked again with the new one."""
    for n in range(3):
        bus.bury(f"a{n}", f"sensor.a{n}", reason="too_large")
    bus.bury("b", "sensor.b", reason="malformed_event")
    desk.open("dead?reason=too_large")
    desk.page.wait_for_selector("text=3 of 3 letters")
    desk.page.click("text=Replay all that match")
    desk.page.wait_for_selector("dialog >> text=Replay 3 letters?")
    bus.bury("a3", "sensor.a3", reason="too_large")
    desk.page.click("dialog >> button:has-text('Replay 3')")
    desk.page.wait_for_selector("dialog >> text=Replay 4 letters?")
    assert length(bus, "inbox") == 0
    desk.page.click("dialog >> button:has-text('Replay 4')")
    desk.page.wait_for_selector("h1:has-text('Replays and audit')")
    desk.page.wait_for_selector("text=4 replayed, 0 left")
    desk.page.wait_for_selector("text=done")
    assert length(bus, "inbox") == 4
    assert length(bus, "dead") == 1
    # The refusal is what this test is about; the browser tells of every 409.
    desk.wrong = [text for text in desk.wrong if "409" not in text]


def test_selected_ones_are_deleted_after_a_question(desk, bus):
    """Escape and Cancel delete nothing; the question names the number."""
    for n in range(3):
        bus.bury(f"a{n}", f"sensor.a{n}")
    desk.open("dead")
    desk.page.check("[aria-label='Select sensor.a0']")
    desk.page.check("[aria-label='Select sensor.a2']")
    for leave in ("Escape", "Enter"):
        desk.page.click("text=Delete selected")
        desk.page.wait_for_selector("dialog >> text=Delete 2 letters for good?")
        desk.page.keyboard.press(leave)
        desk.until("!document.querySelector('dialog')")
        assert length(bus, "dead") == 3
    desk.page.click("text=Delete selected")
    desk.page.click("dialog >> button:has-text('Delete 2')")
    desk.page.wait_for_selector("text=2 letters deleted")
    desk.page.wait_for_selector("text=1 of 1 letter")
    assert length(bus, "dead") == 1


def test_a_slow_replay_is_cancelled(desk, bus):
    """A job shows how far it is, and ends when a person says so."""
    for n in range(50):
        bus.bury(f"a{n}", f"sensor.a{n}")
    desk.open("dead")
    desk.page.click("text=Replay all that match")
    desk.page.select_option("dialog select", "1")
    desk.page.click("dialog >> button:has-text('Replay 50')")
    desk.page.click("button:text-is('Cancel')")
    desk.page.wait_for_selector("text=cancelled")
    assert 0 < length(bus, "dead") <= 50


def test_letters_are_found_and_grouped(desk, bus):
    """A group leads to its letters; filters stand in the address, so that a link keeps them."""
    for n in range(3):
        bus.bury(f"a{n}", f"sensor.a{n}", reason="too_large")
    bus.bury("b", "sensor.b", raw("sensor.b", state=["zebra"]), reason="malformed_event")
    desk.open("dead")
    desk.page.wait_for_selector("h3:has-text('3 × too_large')")
    desk.page.click("li:has-text('1 × malformed_event') >> text=Show these")
    desk.page.wait_for_selector("text=1 of 1 letter")
    assert "fingerprint=print-malformed_event" in desk.page.url
    desk.page.reload()
    desk.page.wait_for_selector("text=1 of 1 letter")
    desk.page.click("button:text-is('Clear')")
    desk.page.wait_for_selector("text=4 of 4 letters")
    desk.page.fill("[data-filter]", "zebra")
    wait_for(lambda: desk.page.locator("tbody tr").count() == 1)
    link = desk.page.get_attribute("a:text-is('Export')", "href")
    told = desk.page.evaluate("async (path) => (await fetch(path)).text()", link)
    assert [json.loads(line)["reason"] for line in told.splitlines()] == ["malformed_event"]


@pytest.mark.parametrize("settings", [{"admin_read_only": True}], ids=["read-only"])
def test_who_may_only_look_sees_no_buttons(desk, bus, settings):
    """In read-only mode nothing offers what would be refused."""
    del settings
    bus.bury("one", "sensor.one")
    desk.open("dead")
    desk.page.wait_for_selector("main table >> text=sensor.one")
    desk.page.wait_for_selector("a:text-is('Export')")
    offers = desk.page.locator("button:has-text('Replay'), button:has-text('Delete')")
    assert offers.count() == 0
    desk.page.click("main table >> text=sensor.one")
    desk.page.wait_for_selector("h1:has-text('sensor.one')")
    assert offers.count() == 0
    assert desk.page.get_attribute("textarea", "readonly") is not None
    desk.page.click("button:has-text('What would become of it now?')")
    desk.page.wait_for_selector("text=It would fall at enrich: malformed_event")

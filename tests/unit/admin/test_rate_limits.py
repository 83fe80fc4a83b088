"""How often somebody may try."""

import pytest
from limits import parse

from admin import app as app_module
from admin.failure import Refusal
from admin.rate_limits import BULK, LOGINS, RateLimits
from tests.fakes.desk import TOKEN
from tests.unit.admin.test_routes import API, CHANGE


def test_too_many_are_refused_with_the_time_to_wait():
    """Each address has its own count; the refusal says when to try again."""
    limits = RateLimits()
    for _ in range(BULK.amount):
        limits.take(BULK, "10.0.0.1")
    with pytest.raises(Refusal) as refused:
        limits.take(BULK, "10.0.0.1")
    assert refused.value.status_code == 429
    assert 1 <= int(refused.value.headers["Retry-After"]) <= 60
    limits.take(BULK, "10.0.0.2")
    limits.take(LOGINS, "10.0.0.1")


async def test_a_guesser_of_the_login_is_sent_away(admin):
    """After five wrong tokens a minute not even the right one is looked at on the page."""
    page = {"sec-fetch-site": "same-origin"}

    async def login(token):
        return await admin.stranger.post("/login", data={"token": token}, headers=page)

    for _ in range(5):
        assert (await login("wrong")).status_code == 401
    answer = await login(TOKEN)
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) > 0
    assert answer.json()["error"]["code"] == "TOO_MANY_REQUESTS"
    page["accept"] = "text/html"
    answer = await login(TOKEN)
    assert (answer.status_code, "<form" in answer.text) == (429, True)
    assert "try again in" in answer.text
    assert int(answer.headers["retry-after"]) > 0
    assert (await admin.client.get(f"{API}/ledger")).status_code == 200


async def test_a_guesser_of_the_token_is_sent_away(admin, monkeypatch):
    """Wrong tokens are counted, requests without one are not; the right one always opens."""
    monkeypatch.setattr(app_module, "TOKENS", few := parse("3/minute"))
    monkeypatch.setitem(app_module.RateLimits.take.__globals__["_NAMES"], few, "few")
    wrong = {"Authorization": "Bearer wrong"}
    answers = [await admin.stranger.get(f"{API}/ledger", headers=wrong) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [401, 401, 401, 429]
    assert (await admin.stranger.get(f"{API}/ledger")).status_code == 401
    assert (await admin.client.get(f"{API}/ledger")).status_code == 200


async def test_changes_and_bulk_are_limited(admin, monkeypatch):
    """Too many changes, and too many jobs, are answered 429; looking is not limited."""
    for name, requests in (("CHANGES", 3), ("BULK", 2)):
        monkeypatch.setattr(app_module, name, few := parse(f"{requests}/minute"))
        monkeypatch.setitem(app_module.RateLimits.take.__globals__["_NAMES"], few, name)
    answers = [
        await admin.client.post(f"{API}/dead-letters/replay", json={"dry_run": True})
        for _ in range(3)
    ]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert (await admin.client.post(f"{API}/events", json=CHANGE)).status_code == 429
    assert (await admin.client.get(f"{API}/ledger")).status_code == 200

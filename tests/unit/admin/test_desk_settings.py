"""What the settings of admin change in its answers: read-only, sub-path, other origins."""

import pytest

from admin.app import HARMLESS
from admin.config import Settings
from admin.fake_redis import fake_redis
from common.errors import InvalidSetting
from tests.fakes.desk import TOKEN, admin_on, routes_of
from tests.unit.admin.test_app import url_of
from tests.unit.admin.test_routes import API, CHANGE

STRANGE = "https://evil.example"
PANEL = "https://panel.example.org"


@pytest.fixture
async def admin_with(request):
    """The application with the settings that the test was given."""
    with fake_redis() as port:
        settings = Settings(admin_token=TOKEN, **request.param)
        async with admin_on(f"redis://127.0.0.1:{port}/0", settings) as found:
            yield found


def settings(**values):
    return pytest.mark.parametrize("admin_with", [values], indirect=True)


@settings(admin_read_only=True)
async def test_read_only_changes_nothing(admin_with):
    """Every route that changes something answers 405; what only looks, and a preview, goes on."""
    harmless = {f"{API}/enrich/preview", f"{API}/dead-letters/{{letter_id}}/dry-run"}
    assert len(HARMLESS) == len(harmless) + 2
    changing = [(m, p) for m, p in routes_of(admin_with.app) if m in {"POST", "DELETE"}]
    assert len(changing) > 8
    for method, path in changing:
        if path in harmless or path in {"/login", "/logout"}:
            continue
        answer = await admin_with.client.request(method, url_of(path), json={})
        assert answer.status_code == 405, path
        assert answer.json()["error"]["code"] == "READ_ONLY"
        assert answer.headers["allow"] == "GET"
    assert (await admin_with.client.post(f"{API}/enrich/preview", json=CHANGE)).status_code == 200
    assert (await admin_with.client.get(f"{API}/config")).json()["read_only"] is True
    assert await admin_with.bus.command("DBSIZE") == 0


@settings(admin_root_path="/habus/")
async def test_a_proxy_may_keep_or_strip_its_path(admin_with):
    """Under a sub-path both ways work, and the OpenAPI document says where the API is."""
    assert (await admin_with.client.get(f"/habus{API}/ledger")).status_code == 200
    assert (await admin_with.client.get(f"{API}/ledger")).status_code == 200
    assert (await admin_with.stranger.get(f"/habus{API}/ledger")).status_code == 401
    assert (await admin_with.stranger.get("/habus/healthz")).status_code == 200
    described = (await admin_with.client.get("/habus/openapi.json")).json()
    assert described["servers"] == [{"url": "/habus"}]
    bare = await admin_with.stranger.get("/habus")
    assert (bare.status_code, bare.headers["location"]) == (307, "/habus/")


@settings(admin_cors_origins=(PANEL,))
async def test_only_listed_origins_may_read_answers(admin_with):
    """A listed origin is allowed by name and without cookies; any other hears nothing."""
    asks = {"access-control-request-method": "POST", "access-control-request-headers": "x"}
    for origin, allowed in ((PANEL, PANEL), (STRANGE, None)):
        answer = await admin_with.client.get(f"{API}/ledger", headers={"origin": origin})
        assert answer.headers.get("access-control-allow-origin") == allowed
        assert "access-control-allow-credentials" not in answer.headers
        preflight = await admin_with.stranger.options(
            f"{API}/events", headers={"origin": origin} | asks
        )
        assert preflight.headers.get("access-control-allow-origin") == allowed


async def test_no_origin_is_listed_by_itself(admin):
    """Without ADMIN_CORS_ORIGINS no answer has a header that lets another site read it."""
    for origin in (PANEL, STRANGE, "null", "http://localhost"):
        answer = await admin.client.get(f"{API}/ledger", headers={"origin": origin})
        assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ADMIN_ROOT_PATH", "habus"),
        ("ADMIN_ROOT_PATH", "/ha bus"),
        ("ADMIN_CORS_ORIGINS", "*"),
        ("ADMIN_CORS_ORIGINS", "https://a.example/path"),
        ("DEAD_RETENTION_DAYS", "-1"),
    ],
)
def test_what_makes_no_sense_is_refused_at_start(tmp_path, name, value):
    """The message names the setting."""
    with pytest.raises(InvalidSetting, match=name):
        Settings.from_environment({name: value}, tmp_path / "none")


async def test_what_a_client_has_is_not_sent_again(admin):
    """JSON has an ETag; with If-None-Match the answer is 304 until something changes."""
    url = f"{API}/dead-letters/groups"
    first = await admin.client.get(url)
    tag = first.headers["etag"]
    for known in (tag, f'"other", {tag}', tag.removeprefix("W/"), "*"):
        again = await admin.client.get(url, headers={"if-none-match": known})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == tag
    await admin.bus.command("XADD", admin.bus.keys.dead, "*", "dead_reason", "x")
    changed = await admin.client.get(url, headers={"if-none-match": tag})
    assert changed.status_code == 200
    assert changed.headers["etag"] != tag
    for answer in (await admin.client.get("/metrics"), await admin.client.get(f"{API}/nothing")):
        assert "etag" not in answer.headers

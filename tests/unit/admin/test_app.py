"""Every route stands behind one door, and every refusal has one shape."""

import asyncio
import re

import jsonschema_rs
import pytest
from fastapi.responses import Response, StreamingResponse
from structlog.testing import capture_logs

from admin.frame import MAX_BODY_BYTES, PART_BYTES, Frame
from admin.routes import health as health_routes
from admin.security import COOKIE, Door, Hosts
from common.errors import CountChanged, InvalidSetting
from tests.fakes.desk import TOKEN, admin_on, routes_of
from tests.unit.admin.test_routes import buried

OPEN = {("GET", "/healthz"), ("GET", "/readyz")}
FILLED = {
    "stream": "raw",
    "entry_id": "1-1","letter_id": "1-1", "stage": "store", "name": "raw", "entity_id": "sensor.a",
          "job": "1-0123abcd", "job_id": "0123456789ab"}  # fmt: skip
API = "/api/v1"
PAGE = {"sec-fetch-site": "same-origin", "x-habus": "page"}


def url_of(path):
    """The path with something in place of its parameters."""
    return re.sub(r"{(\w+)(?::path)?}", lambda found: FILLED[found[1]], path)


def is_failure(answer, status, code):
    """Whether an answer is a refusal as the contract has it."""
    said = answer.json()
    assert answer.status_code == status, said
    assert said["success"] is False
    assert said["error"]["code"] == code
    assert set(said) == {"success", "error", "timestamp", "correlation_id"}
    assert set(said["error"]) == {"code", "message", "details"}
    assert said["correlation_id"] == answer.headers["x-correlation-id"]
    assert "Traceback" not in answer.text
    return said


async def test_every_route_but_two_wants_the_token(admin):
    """Without token each route answers 401, but `/healthz` and `/readyz`."""
    routes = routes_of(admin.app)
    assert len(routes) > 20
    for method, path in routes:
        answer = await admin.stranger.request(
            method, url_of(path), headers={"sec-fetch-site": "same-origin"}
        )
        assert answer.status_code == (200 if (method, path) in OPEN else 401), (method, path)


async def test_a_route_that_is_added_later_is_closed_too(admin):
    """Deny by default: nobody has to remember to close a route."""
    admin.app.get("/forgotten")(lambda: "secret")
    assert (await admin.stranger.get("/forgotten")).status_code == 401
    assert (await admin.client.get("/forgotten")).status_code == 200


@pytest.mark.parametrize(
    "authorization",
    ["", "Bearer", "Bearer ", "Bearer wrong-token-of-no-use", f"Basic {TOKEN}", f"bearer {TOKEN}x"],
)
async def test_no_other_word_opens(admin, authorization):
    """Only the whole token opens, and only as a bearer token."""
    answer = await admin.stranger.get(f"{API}/ledger", headers={"authorization": authorization})
    is_failure(answer, 401, "UNAUTHORIZED")
    assert answer.headers["www-authenticate"] == "Bearer"


async def test_the_token_is_not_read_from_the_url(admin):
    """A token in a URL ends up in logs, so it opens nothing."""
    assert (await admin.stranger.get(f"{API}/ledger?token={TOKEN}")).status_code == 401


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/nothing", None),
        ("PUT", f"{API}/ledger", None),
        ("GET", f"{API}/events?limit=0", None),
        ("POST", f"{API}/events", b"{{{"),
    ],
)
async def test_a_stranger_learns_nothing(admin, method, path, body):
    """Who has no token is told 401, whatever else is wrong with the request."""
    answer = await admin.stranger.request(
        method, path, content=body, headers={"content-type": "application/json"}
    )
    is_failure(answer, 401, "UNAUTHORIZED")


async def test_refusals_have_one_shape(admin):
    """404, 405, 422, 400 and 413 look as the contract says."""
    client = admin.client
    json = {"content-type": "application/json"}
    is_failure(await client.get("/nothing"), 404, "NOT_FOUND")
    refused = await client.delete(f"{API}/ledger")
    is_failure(refused, 405, "METHOD_NOT_ALLOWED")
    assert refused.headers["allow"] == "GET, HEAD"
    refused = await client.put(f"{API}/dead-letters/1-1")
    assert refused.headers["allow"] == "GET, HEAD, DELETE"
    said = is_failure(await client.get(f"{API}/events?limit=0"), 422, "VALIDATION_ERROR")
    assert said["error"]["details"]["errors"][0]["field"] == "limit"
    is_failure(
        await client.post(f"{API}/events", content=b"{{{", headers=json), 422, "VALIDATION_ERROR"
    )
    said = (await client.post(f"{API}/events", content=b'{"a"', headers=json)).json()["error"]
    assert said["details"]["errors"][0]["field"] == "body"
    assert said["message"].startswith("body: no JSON, from character 4 on: ")
    deep = b"[" * 200_000
    is_failure(await client.post(f"{API}/events", content=deep, headers=json), 400, "BAD_REQUEST")
    large = b"x" * (MAX_BODY_BYTES + 1)
    is_failure(
        await client.post(f"{API}/events", content=large, headers=json), 413, "PAYLOAD_TOO_LARGE"
    )


async def test_what_cannot_be_in_a_path_is_not_there(admin):
    """A name or an id that cannot be is answered 404, with what could stand there."""
    for path in (
        *("health/attic", "streams/attic/entries", "replays/x", "backfills/x"),
        *("dead-letters/x", "events/way/attic/1-1", "events/way/raw/x"),
        f"entities/{'x' * 256}/history",
    ):
        is_failure(await admin.client.get(f"{API}/{path}"), 404, "NOT_FOUND")
    said = (await admin.client.get(f"{API}/streams/attic/entries")).json()
    assert "'raw', 'inbox', 'enriched'" in said["error"]["message"]


async def test_head_is_get_without_its_body(admin):
    """Each route that answers GET answers HEAD with the same head, also the one without end."""
    varying = {"date", "x-correlation-id", "etag", "content-length"}
    for method, path in routes_of(admin.app):
        if method != "GET":
            continue
        head = await admin.client.head(url_of(path))
        assert head.content == b"", path
        assert (await admin.stranger.head(url_of(path))).status_code in {200, 401}, path
        if path == f"{API}/events/live":
            assert head.status_code == 200
            continue
        whole = await admin.client.get(url_of(path))
        assert head.status_code == whole.status_code, path
        assert {*head.headers} - varying == {*whole.headers} - varying, path


async def test_a_get_changes_nothing(admin):
    """Whatever is asked for by GET, every key of Redis stays as it is; export is one of them."""
    await buried(admin)

    async def kept():
        keys = sorted(await admin.bus.command("KEYS", "*"))
        return {key: await admin.bus.command("DUMP", key) for key in keys}

    before = await kept()
    assert before
    for method, path in routes_of(admin.app):
        if method == "GET" and path != f"{API}/events/live":
            await admin.client.get(url_of(path))
    assert await kept() == before


async def test_a_body_without_length_is_bounded_too(admin):
    """A body that does not say how long it is ends at the limit."""

    async def endless():
        for _ in range(40):
            yield b"x" * 65_536

    answer = await admin.client.post(
        f"{API}/events", content=endless(), headers={"content-type": "application/json"}
    )
    is_failure(answer, 413, "PAYLOAD_TOO_LARGE")


@pytest.mark.parametrize("size", [0, PART_BYTES, PART_BYTES + 1, 2 * PART_BYTES, 200_001])
async def test_a_large_answer_is_handed_on_in_parts(size):
    """So a slow reader costs one part, not a copy of the whole; what comes is the same."""
    sent = []

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": "/", "headers": [(b"host", b"localhost")]}
    body = bytes(n % 251 for n in range(size))
    frame = Frame(Response(body), Door(TOKEN), Hosts())
    await frame(scope, None, send)
    parts = [message for message in sent if message["type"] == "http.response.body"]
    assert b"".join(part["body"] for part in parts) == body
    assert all(len(part["body"]) <= PART_BYTES for part in parts)
    assert [part.get("more_body", False) for part in parts] == [True] * (len(parts) - 1) + [False]


async def test_a_defect_is_a_sentence_and_a_number(admin):
    """What nobody foresaw answers 500 without a traceback; the log has it."""

    def broken():
        raise RuntimeError("the-inner-cause")

    admin.app.get("/broken")(broken)
    with capture_logs() as lines:
        answer = await admin.client.get("/broken", headers={"x-correlation-id": "a-b.c:1"})
    said = is_failure(answer, 500, "INTERNAL_ERROR")
    assert "the-inner-cause" not in answer.text
    assert said["correlation_id"] == "a-b.c:1"
    assert [line for line in lines if line["log_level"] == "error" and line["exc_info"]]


async def test_an_answer_that_breaks_half_way_is_logged(admin):
    """What has begun cannot become a refusal; the log says what happened."""

    async def halves():
        yield b"half"
        raise RuntimeError("the-inner-cause")

    admin.app.get("/half")(lambda: StreamingResponse(halves()))
    # httpx stands for the server here, and minds that the answer never ends.
    with capture_logs() as lines, pytest.raises(AssertionError):
        await admin.client.get("/half")
    assert [line for line in lines if line["log_level"] == "error"]


async def test_errors_of_the_pipeline_have_their_status(admin):
    """A changed count is 409 with the count; what only the owner can mend is 503."""

    def changed():
        raise CountChanged(3)

    def refused():
        raise InvalidSetting("REDIS_URL: Redis refuses us")

    admin.app.get("/changed")(changed)
    admin.app.get("/refused")(refused)
    said = is_failure(await admin.client.get("/changed"), 409, "COUNT_CHANGED")
    assert said["error"]["details"] == {"count": 3}
    is_failure(await admin.client.get("/refused"), 503, "SERVICE_UNAVAILABLE")


async def test_only_requests_are_framed():
    """What is no HTTP request goes on as it is."""
    seen = []

    async def app(scope, _receive, _send):
        seen.append(scope)

    await Frame(app, Door("t" * 16), Hosts())({"type": "lifespan"}, None, None)
    assert seen == [{"type": "lifespan"}]


@pytest.mark.parametrize("given", ["", "two words", "a" * 65, "new\tline", "<b>"])
async def test_a_bad_correlation_id_is_replaced(admin, given):
    """An id that could forge a log line is not taken."""
    answer = await admin.stranger.get("/healthz", headers={"x-correlation-id": given})
    assert answer.headers["x-correlation-id"] != given
    assert re.fullmatch("[0-9a-f]{32}", answer.headers["x-correlation-id"])


async def test_every_answer_is_dressed(admin):
    """Security headers stand on answers and refusals alike."""
    for answer in (await admin.stranger.get("/healthz"), await admin.client.get("/nothing")):
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    ("host", "fine"),
    [
        ("localhost", True),
        ("LOCALHOST:8003", True),
        ("192.168.1.20:8003", True),
        ("[::1]:8003", True),
        ("nas", True),
        ("nas.local:8003", True),
        ("evil.example.com", False),
        ("127.0.0.1.evil.com", False),
        ("evil.com/..local", False),
        ("a b", False),
    ],
)
async def test_strange_names_are_refused(admin, host, fine):
    """A name that an attacker could point at us is not ours."""
    answer = await admin.client.get("/healthz", headers={"host": host})
    if fine:
        assert answer.status_code == 200
    else:
        is_failure(answer, 400, "INVALID_HOST")


async def test_redis_away_is_503_in_plain_words(admin_alone):
    """Without Redis each route says so and when to ask again; health and metrics still answer."""
    client = admin_alone.client
    silent = {"/healthz", "/metrics", f"{API}/health", f"{API}/health/{{stage}}"}
    silent.add(f"{API}/events/rates")
    for method, path in routes_of(admin_alone.app):
        if path.startswith(API) and path not in silent and method == "GET":
            if path in {f"{API}/events", f"{API}/entities/{{entity_id}}/history", f"{API}/config"}:
                continue  # they ask the sink, or nobody
            answer = await client.get(url_of(path))
            is_failure(answer, 503, "BUS_UNAVAILABLE")
            assert int(answer.headers["retry-after"]) > 0
    unready = await admin_alone.stranger.get("/readyz")
    is_failure(unready, 503, "BUS_UNAVAILABLE")
    assert "127.0.0.1" not in unready.text
    assert (await client.get("/healthz")).status_code == 200
    health = (await client.get(f"{API}/health")).json()
    assert health["status"] == "unhealthy"
    assert health["dependencies"]["redis"]["status"] == "down"
    metrics = (await client.get("/metrics")).text
    assert 'habus_dependency_up{dependency="redis"} 0.0' in metrics


async def test_a_redis_that_hangs_is_not_ready(admin, monkeypatch):
    """A balancer hears 503 before it gives up waiting, however patient the bus is."""
    monkeypatch.setattr(health_routes, "READY_WITHIN_S", 0.01)
    never = asyncio.Event()
    monkeypatch.setattr(admin.app.state.desk.bus, "ping", never.wait)
    is_failure(await admin.stranger.get("/readyz"), 503, "BUS_UNAVAILABLE")


async def test_login_turns_the_token_into_a_session(admin):
    """The form's token becomes a cookie that scripts cannot read and other sites cannot send."""
    page = await admin.stranger.get("/", headers={"accept": "text/html"})
    assert page.status_code == 401
    assert "<form" in page.text
    same = {"sec-fetch-site": "same-origin"}
    wrong = await admin.stranger.post("/login", data={"token": "no"}, headers=same)
    assert wrong.status_code == 401
    assert "This is not the token" in wrong.text
    again = await admin.stranger.get("/login", headers={"accept": "text/html"})
    assert again.status_code == 401
    assert "<form" in again.text
    right = await admin.stranger.post("/login", data={"token": TOKEN}, headers=same)
    assert right.status_code == 303
    cookie = right.headers["set-cookie"]
    assert cookie.startswith(COOKIE)
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert TOKEN not in cookie
    for path in ("/", "/docs", "/openapi.json", "/static/js/main.js", f"{API}/ledger"):
        assert (await admin.stranger.get(path)).status_code == 200, path
    again = await admin.stranger.get("/login")
    assert (again.status_code, again.headers["location"]) == (303, "./")
    copy = {"cookie": cookie.partition(";")[0]}
    assert (await admin.stranger.post("/logout", headers=PAGE)).status_code == 204
    assert (await admin.stranger.get(f"{API}/ledger")).status_code == 401
    assert (await admin.stranger.get(f"{API}/ledger", headers=copy)).status_code == 401


async def test_a_session_changes_things_only_from_our_own_page(admin):
    """With the cookie alone another site can neither send an event nor log in; a form cannot."""
    same = {"sec-fetch-site": "same-origin"}
    await admin.stranger.post("/login", data={"token": TOKEN}, headers=same)
    event = {"event_type": "a", "data": {}, "time_fired": "2026-11-20T15:44:33Z"}
    for headers in (
        {},
        {"sec-fetch-site": "cross-site", "x-habus": "page"},
        {"origin": "http://evil.example"},
        {"origin": "http://[broken"},
    ):
        answer = await admin.stranger.post(f"{API}/events", json=event, headers=headers)
        is_failure(answer, 403, "FORBIDDEN")
        again = await admin.stranger.post("/login", data={"token": TOKEN}, headers=headers)
        is_failure(again, 403, "FORBIDDEN")
    by_form = await admin.stranger.post(f"{API}/events", json=event, headers=same)
    is_failure(by_form, 403, "FORBIDDEN")
    for headers in (PAGE, {"origin": "http://localhost", "x-habus": "page"}):
        answer = await admin.stranger.post(f"{API}/events", json=event, headers=headers)
        assert answer.status_code == 202


@pytest.mark.parametrize("cookie", ["", "1.2", "9999999999.", "9999999999.00", "x.y", "."])
async def test_a_forged_session_opens_nothing(admin, cookie):
    """A cookie that we did not sign is none."""
    answer = await admin.stranger.get(f"{API}/ledger", headers={"cookie": f"{COOKIE}={cookie}"})
    assert answer.status_code == 401


async def test_static_files_are_only_those_of_the_page(admin):
    """No path leads out of the folder, pages are no files, and nothing is sent twice."""
    for name in ("../config.py", "%2e%2e/config.py", "js/../../app.py", "login.html", "js", ""):
        answer = await admin.client.get(f"/static/{name}")
        assert answer.status_code == 404, name
    script = await admin.client.get("/static/js/main.js")
    assert script.headers["content-type"].startswith("text/javascript")
    known = {"if-none-match": script.headers["etag"]}
    again = await admin.client.get("/static/js/main.js", headers=known)
    assert (again.status_code, again.content) == (304, b"")


async def test_pages_load_nothing_from_elsewhere(admin):
    """The pages name no other host, have no inline script, and so keep to their policy."""
    for path in ("/", "/docs"):
        text = (await admin.client.get(path)).text
        assert "//" not in text.replace("<!doctype", "")
        assert not re.search(r"<script(?![^>]*src=)|\son\w+=|style=", text)


async def test_openapi_describes_every_route(admin):
    """Each operation has an id of its own, a tag, a description, and says if it wants a token."""
    api = (await admin.client.get("/openapi.json")).json()
    operations = {
        (method.upper(), path): operation
        for path, methods in api["paths"].items()
        for method, operation in methods.items()
    }
    hidden = {"/", "/docs", "/openapi.json", "/static/{name}", "/login", "/logout"}
    routes = {(m, p.replace(":path", "")) for m, p in routes_of(admin.app)}
    assert set(operations) == {route for route in routes if route[1] not in hidden}
    ids = [operation["operationId"] for operation in operations.values()]
    assert len(set(ids)) == len(ids)
    for route, operation in operations.items():
        assert operation["tags"], route
        assert operation["description"], route
        wants_token = bool(operation["security"])
        assert wants_token == (route not in OPEN), route
        assert ("401" in operation["responses"]) == wants_token, route
    assert "HTTPValidationError" not in api["components"]["schemas"]


async def test_every_value_has_an_example_that_fits(admin):
    """Whoever reads the document sees of each value and parameter one that would be taken."""
    api = admin.app.openapi()
    schemas = api["components"]["schemas"]
    values = {
        f"{name}.{part}": schema
        for name, described in schemas.items()
        for part, schema in described.get("properties", {}).items()
        if not examples_of(described)  # it shows all of its parts together
    }
    values |= {name: described for name, described in schemas.items() if examples_of(described)}
    values |= {
        f"{method} {path}?{parameter['name']}": parameter["schema"]
        for path, methods in api["paths"].items()
        for method, operation in methods.items()
        for parameter in operation.get("parameters", ())
    }
    assert len(values) > 200
    lacking = [name for name, value in values.items() if is_plain(value) and not examples_of(value)]
    assert not lacking
    for name, value in values.items():
        check = jsonschema_rs.Draft202012Validator({**value, "components": {"schemas": schemas}})
        for example in examples_of(value):
            assert check.is_valid(example), f"{name} is no {example!r}"


def examples_of(schema):
    """FastAPI writes those of a parameter into its schema."""
    return schema.get("examples") or ([schema["example"]] if "example" in schema else [])


def is_plain(schema):
    """Whether it is a value of its own; choices and other schemas tell themselves."""
    if {"$ref", "const", "enum"} & schema.keys() or schema.get("type") in {"boolean", "object"}:
        return False
    if schema.get("type") == "array":
        return is_plain(schema["items"])
    parts = [part for kind in ("anyOf", "allOf", "oneOf") for part in schema.get(kind, ())]
    return not parts or any(is_plain(part) for part in parts if part != {"type": "null"})


async def test_one_application_is_unlike_another():
    """A session of one token does not open a desk with another one."""
    async with admin_on("redis://127.0.0.1:1/0") as found:
        door = found.app.state.door
        cookie = type(door)("another-token-of-length").new_session()
        answer = await found.stranger.get(f"{API}/health", headers={"cookie": f"{COOKIE}={cookie}"})
        assert answer.status_code == 401

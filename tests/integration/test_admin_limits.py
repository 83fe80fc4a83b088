"""Who sends too much, too slowly, or holds a place for nothing, is sent away."""

import asyncio
import contextlib
import json

import httpx
import pytest

from admin import link
from admin.__main__ import main
from admin.config import Settings
from common.bus import connect
from tests.fakes.bus import flat_of
from tests.fakes.servers import free_port
from tests.fakes.until import until

pytestmark = pytest.mark.integration
TOKEN = "a-token-that-is-long-enough"
API = "/api/v1"


@pytest.fixture
async def client(tmp_path, redis_url):
    """Admin, and who has its token."""
    settings = Settings(
        redis_url=redis_url,
        store_sink="sqlite",
        store_sqlite_path=tmp_path / "events.db",
        admin_port=free_port(),
        admin_token=TOKEN,
    )
    stop = asyncio.Event()
    work = asyncio.create_task(main(settings, stop))
    url = f"http://127.0.0.1:{settings.admin_port}"
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    async with httpx.AsyncClient(base_url=url, headers=bearer, timeout=30) as opened:

        async def alive():
            try:
                return (await opened.get("/healthz")).status_code == 200
            except httpx.TransportError:
                return False

        await until(alive, 30, "admin")
        yield opened
    stop.set()
    await work


async def said(client, *pieces, pause_s=0.0):
    """Send pieces on a connection; all that comes back until admin ends it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", client.base_url.port)
    try:
        for piece in pieces:
            writer.write(piece)
            await asyncio.sleep(pause_s)
        async with asyncio.timeout(20):
            return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"GET /healthz HT",
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\nGET /heal",
        b"POST /api/v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{",
    ],
)
async def test_who_does_not_go_on_is_cut_off(client, monkeypatch, head):
    """A connection without request, half a head, and half a body end after their time."""
    monkeypatch.setattr("admin.link._IN_TIME", dict.fromkeys(link._IN_TIME, 0.2))
    answer = await said(client, head)
    assert answer.count(b"HTTP/1.1") == head.count(b"\r\n\r\n") - head.startswith(b"POST")


async def test_bytes_one_by_one_win_no_time(client, monkeypatch):
    """The time for a head counts from its first byte, not from its last."""
    monkeypatch.setattr("admin.link._IN_TIME", dict.fromkeys(link._IN_TIME, 0.3))
    head = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Slow: " + b"a" * 200
    crumbs = [head[at : at + 1] for at in range(len(head))]
    assert await said(client, *crumbs, pause_s=0.02) == b""


async def test_idle_links_make_room(client, monkeypatch):
    """Whoever holds places without a request does not keep others out."""
    monkeypatch.setattr("admin.link.MANY_LINKS", 10)
    held = [await asyncio.open_connection("127.0.0.1", client.base_url.port) for _ in range(30)]
    try:
        async with httpx.AsyncClient(base_url=client.base_url) as another:
            assert (await another.get("/healthz")).status_code == 200
        ended = [asyncio.create_task(reader.read()) for reader, _ in held[:20]]
        await asyncio.wait(ended, timeout=20)
        assert all(one.done() for one in ended)
        assert not held[-1][0].at_eof()
    finally:
        for _, writer in held:
            writer.close()


async def test_one_too_many_is_told_so(client, monkeypatch):
    """When all places are taken by the fresh and the busy, the next is answered 503."""
    monkeypatch.setattr("admin.link.MANY_LINKS", 0)
    monkeypatch.setattr("admin.link.MOST_LINKS", 0)
    answer = await said(client, b"")
    head, body = answer.split(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 503")
    assert b"Retry-After" in head
    assert json.loads(body)["error"]["code"] == "SERVICE_UNAVAILABLE"


@pytest.mark.parametrize(
    "rubbish",
    [
        b"\x16\x03\x01 hello\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\n\r\n",
        b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"POST /login HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
async def test_what_is_no_request_is_refused_in_the_one_shape(client, rubbish):
    """Also who sends what cannot be read is answered 400 as every refusal looks, and hung up on."""
    head, body = (await said(client, rubbish)).split(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 Bad Request")
    assert b"Content-Type: application/json" in head
    failure = json.loads(body)
    assert set(failure) == {"success", "error", "timestamp", "correlation_id"}
    assert failure["error"]["code"] == "BAD_REQUEST"


async def test_a_stranger_may_not_send_much(client):
    """Without token a large body is not read: the answer is 401, at the login 413."""

    large = b" " * 2_000_000

    async def status(path, body, headers):
        async with httpx.AsyncClient(base_url=client.base_url) as stranger:
            answer = await stranger.post(path, content=body, headers=headers)
            return answer.status_code

    async def in_parts():
        for at in range(0, len(large), 10_000):
            yield large[at : at + 10_000]

    json = {"Content-Type": "application/json"}
    assert await status(f"{API}/events", in_parts(), json) == 401
    assert await status(f"{API}/events", large[:5000], json) == 401
    assert await status("/login", large[:5000], {"Sec-Fetch-Site": "same-origin"}) == 413
    assert await status("/login", large, {"Sec-Fetch-Site": "same-origin"}) == 413


async def test_bodies_share_what_memory_there_is(client, monkeypatch):
    """While large bodies are held, another one is answered 503."""
    monkeypatch.setattr("admin.frame.HELD_BYTES", 50_000)
    came = asyncio.Event()

    async def half():
        yield b'{"event_type": "a", "data": {"x": "' + b"x" * 40_000
        # One that was refused goes on in vain, so that it ends and another can be tried.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(2):
                await came.wait()
        yield b'"}, "time_fired": "2026-11-20T15:44:33Z"}'

    json = {"Content-Type": "application/json"}
    slow = None

    async def is_busy():
        nonlocal slow
        if slow is None or slow.done():  # one of ours was held first, and it was refused
            slow = asyncio.create_task(client.post(f"{API}/events", content=half(), headers=json))
        large = {"event_type": "a", "data": {"x": "x" * 20_000}, "time_fired": "no time"}
        answer = await client.post(f"{API}/events", json=large)
        return answer.status_code == 503 and "Retry-After" in answer.headers

    await until(is_busy, 20, "503")
    came.set()
    assert (await slow).status_code == 202
    large = {"event_type": "a", "data": {"x": "x" * 20_000}, "time_fired": "no time"}
    assert (await client.post(f"{API}/events", json=large)).status_code == 422


async def test_few_search_all_letters_at_once(client, redis_url, monkeypatch):
    """Searches for a text and exports beyond some are answered 503, and their places are given
    back; everything else goes on.
    """
    async with connect(redis_url) as bus:
        letter = flat_of({b"id": b"1", b"data": b"{}", b"dead_stage": b"store"})
        await bus.command("XADD", "ha:dead", "*", *letter)
    letters = f"{API}/dead-letters"
    for path in (letters, f"{letters}/groups", f"{letters}/export"):
        for _ in range(10):
            assert (await client.get(path, params={"text": "no"})).status_code == 200
    monkeypatch.setattr("admin.gate.AT_ONCE", 0)
    for path in (f"{letters}?text=a", f"{letters}/groups?text=a", f"{letters}/export"):
        answer = await client.get(path)
        assert answer.status_code == 503
        assert answer.json()["error"]["code"] == "TOO_MANY_SEARCHES"
    assert (await client.get(letters)).status_code == 200

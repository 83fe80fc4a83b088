"""The socket against servers that behave, and against servers that do not."""

import asyncio
import base64
import hashlib
import logging
import socket
import ssl
import subprocess
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus

import pytest
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

from common.errors import HomeAssistantUnavailable, InvalidSetting
from ingest import connection
from ingest.connection import connect
from tests.fakes.servers import free_port, require

pytestmark = pytest.mark.integration


@asynccontextmanager
async def home(handler, **options):
    """Serve a WebSocket on a free port; yield its address and the servers' ends of connections."""
    ends = []

    async def remembered(websocket):
        ends.append(websocket)
        with suppress(ConnectionClosed):
            await handler(websocket)

    async with serve(remembered, "127.0.0.1", 0, compression=None, **options) as server:
        port = server.sockets[0].getsockname()[1]
        scheme = "wss" if "ssl" in options else "ws"
        try:
            yield f"{scheme}://127.0.0.1:{port}/api/websocket", ends
        finally:
            for end in ends:
                end.transport.abort()


async def silent(websocket):
    await websocket.wait_closed()


@asynccontextmanager
async def tcp(handler):
    """Serve bare TCP on a free port."""

    async def handled(reader, writer):
        try:
            await handler(reader, writer)
        finally:
            writer.transport.abort()

    async with await asyncio.start_server(handled, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


async def all_frames(opened):
    return [frame async for frame in opened.frames()]


async def failure(url, **options):
    try:
        async with asyncio.timeout(10), connect(url, **options) as opened:
            return f"no failure, but {await all_frames(opened)}"
    except HomeAssistantUnavailable as error:
        return str(error)


async def test_frames_go_both_ways_as_bytes():
    """Text comes as the bytes it was sent as, of any size up to the limit, and text is sent."""
    big = "°" * 3_000_000

    async def echo(websocket):
        async for text in websocket:
            await websocket.send(text * 2)
            await websocket.send(b"\x00\xff")
            await websocket.send(big)

    async with home(echo) as (url, _), connect(url) as opened:
        await opened.send("hé")
        frames = opened.frames()
        assert await anext(frames) == "héhé".encode()
        assert await anext(frames) == b"\x00\xff"
        assert await anext(frames) == big.encode()


async def test_leaving_says_goodbye():
    """At the end of the context the server sees a polite close."""
    gone = asyncio.get_running_loop().create_future()

    async def listen(websocket):
        await websocket.wait_closed()
        gone.set_result(websocket.close_code)

    async with home(listen) as (url, _):
        async with connect(url):
            pass
        async with asyncio.timeout(10):
            assert await gone == 1000


async def test_abort_ends_a_silent_socket():
    """A stop ends the frames of a home that says nothing, and is no error."""
    async with home(silent) as (url, _), connect(url) as opened:
        waiting = asyncio.create_task(all_frames(opened))
        await asyncio.sleep(0)
        assert not waiting.done()
        opened.abort()
        async with asyncio.timeout(10):
            assert await waiting == []
        assert await all_frames(opened) == []


async def test_abort_drops_what_was_not_read():
    """After a stop no further frame is handed out, also where more have come already."""

    async def talk(websocket):
        for number in range(5):
            await websocket.send(str(number))
        await websocket.wait_closed()

    async with home(talk) as (url, _), connect(url) as opened:
        seen = []
        async for frame in opened.frames():
            seen.append(frame)
            opened.abort()
        assert seen == [b"0"]


async def test_leaving_ends_the_frames_of_another_task():
    """Who left the context has hung up for everyone."""
    async with home(silent) as (url, _):
        async with connect(url) as opened:
            waiting = asyncio.create_task(all_frames(opened))
            await asyncio.sleep(0)
        async with asyncio.timeout(10):
            assert await waiting == []


async def test_leaving_does_not_wait_for_a_home_that_hangs():
    """A goodbye that nobody answers is given up."""
    async with home(silent, ping_interval=None) as (url, ends):
        async with asyncio.timeout(8):  # without the limit websockets waits 10 s
            async with connect(url):
                ends[0].transport.pause_reading()


async def test_a_polite_close_is_no_end_of_the_stream():
    """A home that says goodbye is unavailable, unless it was us who hung up."""

    async def goodbye(websocket):
        await websocket.send("last")
        await websocket.close(1001, "restart")

    async with home(goodbye) as (url, _), connect(url) as opened:
        frames = opened.frames()
        assert await anext(frames) == b"last"
        with pytest.raises(HomeAssistantUnavailable, match=r"goodbye \(1001 restart\)"):
            await anext(frames)


async def test_after_a_goodbye_we_let_go_first():
    """A home that keeps TCP open after its close frame is not waited for: it waits for us."""
    released = asyncio.get_running_loop().create_future()

    async def linger(reader, writer):
        request = await reader.readuntil(b"\r\n\r\n")
        writer.write(upgrade_of(request) + b"\x88\x02\x03\xe8")  # a close frame with code 1000
        await reader.read()  # until the client has closed its side
        released.set_result(None)

    async with tcp(linger) as port:
        async with asyncio.timeout(8):  # Home Assistant lingers for 10 s
            assert "goodbye (1000)" in await failure(f"ws://127.0.0.1:{port}/")
            await released


def upgrade_of(request):
    [key] = [x.split(b": ")[1] for x in request.split(b"\r\n") if b"Sec-WebSocket-Key" in x]
    accept = hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11", usedforsecurity=False)
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + base64.b64encode(accept.digest()) + b"\r\n\r\n"
    )


async def test_a_connection_that_breaks_off_is_unavailable():
    """Without a goodbye, what was received comes first and then the reasons to think of."""

    async def break_off(websocket):
        await websocket.send("last")
        await websocket.recv()
        websocket.transport.abort()

    async with home(break_off) as (url, _), connect(url) as opened:
        frames = opened.frames()
        assert await anext(frames) == b"last"
        await opened.send("now")
        with pytest.raises(HomeAssistantUnavailable, match=r"broke off.*access token"):
            await anext(frames)
        with pytest.raises(HomeAssistantUnavailable, match="broke off"):
            await opened.send("too late")


async def test_a_message_that_is_too_big_is_told(monkeypatch):
    """Code 1009 has a sentence of its own, for connecting again does not help by itself."""
    monkeypatch.setattr(connection, "MAX_FRAME_BYTES", 1 << 20)

    async def big(websocket):
        await websocket.send("x" * ((1 << 20) + 1))

    async with home(big) as (url, _):
        assert "more than 1 MiB" in await failure(url)


async def test_a_home_that_does_not_answer_pings_is_unavailable(monkeypatch):
    """A half-open connection is noticed by its missing pong."""
    monkeypatch.setattr(connection, "PING_S", 0.05)

    async def deaf(websocket):
        websocket.transport.pause_reading()
        await websocket.wait_closed()

    async with home(deaf, ping_interval=None) as (url, _):
        assert "did not answer a ping" in await failure(url)


async def test_rubbish_in_place_of_frames_is_unavailable():
    """What breaks the WebSocket protocol ends the connection with a reason."""

    async def rubbish(reader, writer):
        writer.write(upgrade_of(await reader.readuntil(b"\r\n\r\n")) + b"\xff" * 20)
        await reader.read()

    async with tcp(rubbish) as port:
        assert "no WebSocket frame" in await failure(f"ws://127.0.0.1:{port}/")


@pytest.mark.parametrize(
    ("status", "hint"),
    [
        (400, "trusted_proxies"),
        (401, "login of its own"),
        (403, "ip_bans"),
        (404, "/api/websocket"),
        (502, "still starting"),
        (503, "still starting"),
        (500, "HA_WEBSOCKET_URL"),
    ],
)
async def test_a_refused_upgrade_says_what_it_may_be(status, hint):
    """Each HTTP status that Home Assistant or a proxy answers has its hint."""

    def refuse(websocket, _request):
        return websocket.respond(HTTPStatus(status), "")

    async with home(silent, process_request=refuse) as (url, _):
        message = await failure(url)
    assert f"HTTP {status}" in message
    assert hint in message


async def test_a_refused_connection_says_so():
    """Where nobody listens, also under each address of a name, the port is put in doubt."""
    port = free_port()
    assert "refuses the connection" in await failure(f"ws://127.0.0.1:{port}/")
    message = await failure(f"ws://user:pass@localhost:{port}/")
    assert f"localhost:{port} refuses the connection" in message
    assert "pass" not in message


async def test_a_name_with_several_addresses_that_all_refuse_says_so(monkeypatch):
    """Of several failures asyncio leaves one text, and its meaning is still seen."""
    port = free_port()
    found = [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
        for address in ("127.0.0.1", "127.0.0.2")
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    assert "refuses the connection" in await failure(f"ws://home:{port}/")


async def test_an_unknown_name_says_so():
    """A name without an address suggests the address. Source: RFC 6761, .invalid."""
    assert "name that cannot be found" in await failure("ws://home.invalid:8123/")


async def test_an_address_without_a_route_says_so():
    """Other errors of the network come in their own words."""
    assert "cannot be reached" in await failure("ws://255.255.255.255:8123/")


async def test_a_home_that_accepts_and_says_nothing_times_out(monkeypatch):
    """Opening has an end."""
    monkeypatch.setattr(connection, "OPEN_TIMEOUT_S", 0.05)

    async def wait(reader, _writer):
        await reader.read()

    async with tcp(wait) as port:
        assert "did not answer in time" in await failure(f"ws://127.0.0.1:{port}/")


async def test_a_server_that_is_no_websocket_says_so():
    """An answer that is no HTTP puts the scheme in doubt."""

    async def speak(reader, writer):
        writer.write(b"220 mail\r\n\r\n")
        await reader.read()

    async with tcp(speak) as port:
        assert "want wss://" in await failure(f"ws://127.0.0.1:{port}/")


async def test_plain_where_tls_is_expected_says_so():
    """wss:// to a plain port puts the scheme in doubt the other way round."""

    async def answer(reader, writer):
        await reader.read(100)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await reader.read()

    async with tcp(answer) as port:
        assert "want ws:// in place" in await failure(f"wss://127.0.0.1:{port}/")
    async with home(silent) as (url, _):
        assert "hung up while we connected" in await failure(url.replace("ws:", "wss:"))


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate of its own authority, for 127.0.0.1, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    made, key = folder / "certificate.pem", folder / "key.pem"
    new = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=home"
    names = ["-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(
        [require("openssl"), *new.split(), *names, "-keyout", key, "-out", made],
        check=True,
        capture_output=True,
    )
    return made, key


async def test_a_certificate_is_checked_against_our_own_authority(certificate):
    """An unknown certificate names HA_CA_FILE, and with that file the connection opens."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)

    async def greet(websocket):
        await websocket.send("hello")
        await websocket.wait_closed()

    async with home(greet, ssl=context) as (url, _):
        assert "HA_CA_FILE" in await failure(url)
        async with connect(url, certificate[0]) as opened:
            assert await anext(opened.frames()) == b"hello"
        message = await failure(url.replace("127.0.0.1", "localhost"), ca_file=certificate[0])
        assert "name that it is made for" in message


async def test_a_file_of_authorities_that_went_bad_is_waited_for(tmp_path):
    """HA_CA_FILE was good at the start; while it is renewed, or away, ingest goes on trying."""
    empty = tmp_path / "empty.pem"
    empty.write_text("")
    for file in (tmp_path / "missing.pem", empty):
        assert "HA_CA_FILE" in await failure("wss://127.0.0.1:1/", ca_file=file)


@pytest.mark.parametrize(
    "url", ["http://h/", "ws://", "h:8123", "ws://h:port/", f"ws://{'h' * 80}"]
)
async def test_an_address_that_is_none_is_an_invalid_setting(url):
    """What can never be connected to names HA_WEBSOCKET_URL."""
    with pytest.raises(InvalidSetting, match="HA_WEBSOCKET_URL"):
        async with connect(url):
            pass


async def test_the_token_is_never_logged(caplog):
    """At the finest level the frames, and so the token, stay out of the log."""
    caplog.set_level(logging.DEBUG)
    async with home(silent) as (url, _), connect(url) as opened:
        await opened.send('{"access_token":"a-secret"}')
    ours = [r.getMessage() for r in caplog.records if not r.name.startswith("websockets.server")]
    assert not any("a-secret" in message for message in ours)

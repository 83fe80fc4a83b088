"""What the doctor says about what it sees."""

import http.server
import json
import socket
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest

from admin import doctor
from admin.doctor import Home, of_disk, of_home, of_server, rest_url
from common.bus.server import ServerInfo
from tests.fakes.servers import free_port

GOOD = ServerInfo(
    version="7.0.15",
    appendonly=True,
    appendfsync="always",
    maxmemory_bytes=256 * 2**20,
    maxmemory_policy="noeviction",
    used_bytes=2**20,
)


def verdicts(found):
    return [one.verdict for one in found]


def changed(**values):
    """The good server but for some values."""
    return ServerInfo(**{name: getattr(GOOD, name) for name in GOOD.__struct_fields__} | values)


def test_a_good_server_is_fine():
    """AOF on, noeviction, right clock: nothing to change."""
    found = of_server(GOOD)
    assert set(verdicts(found)) == {"fine"}
    assert "1 of 256 MB" in " ".join(one.text for one in found)


@pytest.mark.parametrize(
    ("values", "verdict", "advice"),
    [
        ({"version": "6.0.16"}, "wrong", "Redis 6.2 or newer"),
        ({"appendonly": False}, "wrong", "appendonly yes"),
        ({"appendfsync": "no"}, "warning", "appendfsync"),
        ({"appendfsync": "everysec"}, "warning", "appendfsync always"),
        ({"appendonly": None, "appendfsync": None}, "warning", "real data"),
        ({"maxmemory_policy": "allkeys-lru"}, "wrong", "noeviction"),
        ({"maxmemory_policy": "allkeys-lru", "maxmemory_bytes": 0}, "warning", "noeviction"),
        ({"ahead_s": 60.0}, "warning", "NTP"),
        ({"ahead_s": -60.0}, "warning", "NTP"),
    ],
)
def test_each_fault_says_what_to_change(values, verdict, advice):
    """One finding is not fine, and its advice names the setting."""
    [fault] = [one for one in of_server(changed(**values)) if one.verdict != "fine"]
    assert fault.verdict == verdict
    assert advice in fault.advice


def test_a_server_that_tells_little_is_no_fault():
    """What a server does not tell is not held against it, but for its durability."""
    found = of_server(ServerInfo())
    assert "wrong" not in verdicts(found)


@pytest.mark.parametrize(
    ("websocket", "rest"),
    [
        ("ws://h:8123/api/websocket", "http://h:8123/api/config"),
        ("wss://h/api/websocket", "https://h/api/config"),
        ("ws://supervisor/core/websocket", "http://supervisor/core/api/config"),
    ],
)
def test_the_rest_api_is_beside_the_websocket(websocket, rest):
    """Also behind Supervisor's proxy."""
    assert rest_url(websocket) == rest


@contextmanager
def home_that_answers(status, body, date="Fri, 20 Nov 2026 15:44:33 GMT"):
    """A Home Assistant that gives one answer; yields its address and what it was asked."""
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append((self.path, self.headers["Authorization"]))
            self.send_response_only(status)
            if date:
                self.send_header("Date", date)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"ws://127.0.0.1:{server.server_address[1]}/api/websocket", asked
        finally:
            server.shutdown()
            thread.join()


def test_home_assistant_is_asked_once():
    """A good token is fine, and the version is told; the clock of that answer is far off."""
    body = json.dumps({"version": "2026.11.0"}).encode()
    with home_that_answers(200, body, "Fri, 20 Nov 2020 15:44:33 GMT") as (url, asked):
        found = of_home(Home(url, "the-token"))
    assert asked == [("/api/config", "Bearer the-token")]
    assert verdicts(found) == ["fine", "warning"]
    assert "2026.11.0" in found[0].text
    for no_time in ("", "yesterday", "Fri, 20 Nov 2026 15:44:33 -0000"):
        with home_that_answers(200, b"[]", no_time) as (url, _):
            assert verdicts(of_home(Home(url, "the-token"))) == ["fine"]


@pytest.mark.parametrize(
    ("status", "body", "word"),
    [
        (401, b"", "HA_ACCESS_TOKEN"),
        (403, b"", "HA_ACCESS_TOKEN"),
        (404, b"", "HA_WEBSOCKET_URL"),
        (200, b"<html>", "HA_WEBSOCKET_URL"),
    ],
)
def test_a_refusal_names_the_setting(status, body, word):
    """A refused token or a wrong address is wrong, and the token is not told."""
    with home_that_answers(status, body) as (url, asked):
        [found] = of_home(Home(url, "the-token"))
    assert len(asked) == 1
    assert found.verdict == "wrong"
    assert word in found.advice
    assert "the-token" not in found.text


def test_who_does_not_even_speak_http_is_wrong():
    """Another server at that address is said to be none of Home Assistant."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def rubbish():
            connection, _ = server.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"-ERR unknown command 'GET'\r\n")

        thread = threading.Thread(target=rubbish)
        thread.start()
        port = server.getsockname()[1]
        [found] = of_home(Home(f"ws://127.0.0.1:{port}/api/websocket", "the-token"))
        thread.join()
    assert (found.verdict, found.advice) == ("wrong", "check HA_WEBSOCKET_URL")


def test_home_assistant_away_is_wrong():
    """Nobody there: the address is what to check."""
    [found] = of_home(Home(f"ws://127.0.0.1:{free_port()}/api/websocket", "the-token"))
    assert found.verdict == "wrong"


def test_without_a_token_nobody_is_asked():
    """Where ingest does not run there is no token, and that is no fault."""
    [found] = of_home(Home("ws://nowhere.invalid/api/websocket"))
    assert found.verdict == "warning"


def test_disk_space(tmp_path, monkeypatch):
    """Little space is a warning, too little a fault; the folder need not exist yet."""
    folder = tmp_path / "not" / "yet"
    for free, verdict in ((2**40, "fine"), (2**30, "warning"), (2**20, "wrong")):
        usage = type("Usage", (), {"free": free})
        monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _, usage=usage: usage)
        assert of_disk(folder).verdict == verdict
    assert of_disk(Path("data")).about == "disk"


def test_a_folder_that_cannot_be_written_is_wrong(monkeypatch):
    """Room is of no use where nobody may write: a spool that stood here could not start."""
    monkeypatch.setattr(doctor.os, "access", lambda folder, _: folder != Path("/proc"))
    assert of_disk(Path("/proc/spool")).verdict == "wrong"
    assert of_disk(Path("/proc")).text == "/proc cannot be written"

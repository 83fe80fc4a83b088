"""Who may come in: the token, and the file that keeps it."""

import stat

import pytest
from fastapi import Request

from admin.config import Settings
from admin.failure import Refusal
from admin.security import COOKIE, SESSION_S, Door, Hosts, token_of
from common.errors import InvalidSetting


def test_a_token_is_made_once_and_kept(tmp_path):
    """Without ADMIN_TOKEN habus makes one of 256 bits, in a file only its owner can read."""
    settings = Settings(admin_token_path=tmp_path / "data" / "admin_token")
    token, path = token_of(settings)
    assert len(token) >= 43
    assert path == settings.admin_token_path
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert token_of(settings) == (token, path)
    other = Settings(admin_token_path=tmp_path / "other")
    assert token_of(other)[0] != token


def test_a_set_token_needs_no_file(tmp_path):
    """ADMIN_TOKEN counts, and nothing is written."""
    settings = Settings(admin_token="x" * 16, admin_token_path=tmp_path / "admin_token")
    assert token_of(settings) == ("x" * 16, None)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_others_could_read_is_closed(tmp_path):
    """A token that was copied with loose rights is made private again."""
    path = tmp_path / "admin_token"
    path.write_text("y" * 20 + "\n")
    path.chmod(0o644)
    assert token_of(Settings(admin_token_path=path)) == ("y" * 20, path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_short_token_is_refused(tmp_path):
    """A token that can be guessed is refused, wherever it stands, by the name of its setting."""
    with pytest.raises(InvalidSetting, match="ADMIN_TOKEN") as refused:
        Settings.from_environment({"ADMIN_TOKEN": "short-one"}, tmp_path / "none")
    assert "short-one" not in str(refused.value)
    path = tmp_path / "admin_token"
    path.write_text("short\n")
    with pytest.raises(InvalidSetting, match="ADMIN_TOKEN_PATH"):
        token_of(Settings(admin_token_path=path))


def test_a_place_that_keeps_no_token_is_named(tmp_path):
    """Where the file cannot be, or is none, the message says which setting to change."""
    (tmp_path / "file").write_text("x")
    for path in (tmp_path / "file" / "admin_token", tmp_path):
        with pytest.raises(InvalidSetting, match="ADMIN_TOKEN_PATH"):
            token_of(Settings(admin_token_path=path))


def test_only_the_token_opens():
    """Neither a part of it nor more than it, and nothing odd, opens."""
    door = Door("the-very-long-token")
    assert door.opens_with("the-very-long-token")
    for other in ("", "the-very-long-toke", "the-very-long-token ", "\ud800", "ä"):
        assert not door.opens_with(other)


def test_a_session_ends(monkeypatch):
    """A cookie opens for a week, and not a second longer."""
    door = Door("the-very-long-token")
    now = 1_795_000_000.0
    monkeypatch.setattr("admin.security.time.time", lambda: now)
    cookie = f"{COOKIE}={door.new_session()}".encode()
    request = Request({"type": "http", "method": "GET", "headers": [(b"cookie", cookie)]})
    now += SESSION_S - 1
    door.check(request)
    now += 1
    with pytest.raises(Refusal):
        door.check(request)


def test_names_can_be_added():
    """A public name is fine only when somebody has said so."""
    assert not Hosts().allow("habus.example.org")
    assert Hosts(["Habus.example.org"]).allow("habus.example.org:443")
    assert not Hosts().allow("")

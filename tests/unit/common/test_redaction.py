import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.redaction import Redaction


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("Authorization: Bearer s3cr3t", "Authorization: Bearer ***"),
        ("Authorization: Basic dXNlcjpwYXNz, next", "Authorization: Basic ***, next"),
        ("authorization=Token s3cr3t", "authorization=Token ***"),
        ("authorization: s3cr3t", "authorization: ***"),
        ("{'Authorization': 'Token s3cr3t'}", "{'Authorization': 'Token ***'}"),
        ("('Authorization', b'Bearer s3cr3t')", "('Authorization', b'Bearer ***')"),
        ('{"access_token": "s3cr3t"}', '{"access_token": "***"}'),
        ('{"access_token":"s3cr3t","a":1}', '{"access_token":"***","a":1}'),
        (r"{\"access_token\": \"s3cr3t\"}", r"{\"access_token\": \"***\"}"),
        ("/api/camera_proxy/camera.a?token=s3cr3t&t=1", "/api/camera_proxy/camera.a?token=***&t=1"),
        ("token='s3cr3t'", "token='***'"),
        ("api_password=s3cr3t", "api_password=***"),
        ("redis://user:s3cr3t@host:6379/0", "redis://***@host:6379/0"),
        ("rediss://:s3cr3t@host", "rediss://***@host"),
        ("at http://s3cr3t@host/path and on", "at http://***@host/path and on"),
    ],
)
def test_hides_what_stands_where_secrets_stand(text, clean):
    """A secret is hidden by its place alone, and what surrounds it stays readable."""
    assert Redaction().text(text) == clean


@pytest.mark.parametrize(
    "text",
    [
        "InfluxDB refuses our token: unauthorized access",
        "unauthorized",
        "write to someone@example.org",
        "http://host:8123/api/websocket",
        "",
    ],
)
def test_leaves_prose_alone(text):
    """A sentence that speaks of tokens is no token."""
    assert Redaction().text(text) == text


def test_hides_what_it_was_told():
    """A registered secret is hidden wherever it stands, the longer one first."""
    redaction = Redaction(["abcdefgh", ""])
    redaction.learn(["abcdefghijkl"])
    assert redaction.text("xabcdefghijklx abcdefghx") == "x***x ***x"


def test_a_short_secret_is_hidden_as_a_word_only():
    """A secret of a few letters does not shred every sentence."""
    assert Redaction(["ha"]).text("ha:raw has ha") == "***:raw has ***"


def test_escapes_what_could_forge_a_line():
    """Line breaks, escape sequences and characters that turn the direction become visible."""
    forged = "a\nb\r\x1b[31m\x9b\u2028\u202e\t"
    assert Redaction().text(forged) == r"a\nb\r\x1b[31m\x9b\u2028\u202e\t"


@given(st.text(), st.text("abcdefgh ", min_size=8))
def test_a_told_secret_never_comes_through(around, secret):
    """Whatever surrounds it, a registered secret is gone and nothing can break a line."""
    clean = Redaction([secret]).text(f"{around}{secret}{around}")
    assert secret not in clean
    assert not set(clean) & set("\n\r\x1b\u2028")


def test_values_of_every_kind():
    """Numbers stay numbers; what is nested is cleaned inside; names of secrets hide all."""
    value = {
        "n": 1,
        "f": 1.5,
        "yes": True,
        "nothing": None,
        "list": ["token=s3cr3t"],
        "headers": {"Authorization": ["s3cr3t"], "Accept": "all"},
        "error": ValueError("token=s3cr3t"),
        "silent": KeyboardInterrupt(),
        "access_token": "s3cr3t",
        "password": "",
    }
    assert Redaction().value(value) == {
        "n": 1,
        "f": 1.5,
        "yes": True,
        "nothing": None,
        "list": ["token=***"],
        "headers": {"Authorization": "***", "Accept": "all"},
        "error": "token=***",
        "silent": "KeyboardInterrupt",
        "access_token": "***",
        "password": "",
    }


def test_huge_texts_do_not_hold_up_the_worker():
    """The patterns need linear time; were one quadratic, this would take minutes."""
    program = """
from common.redaction import Redaction
for text in ("a" * 300_000, "token" * 60_000, "token=" + " " * 300_000, "authorization:" * 20_000):
    Redaction(["abcdefgh"]).text(text)
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)

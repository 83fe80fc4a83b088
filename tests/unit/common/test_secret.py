import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import MalformedEvent
from common.secret import ALWAYS, OF_SERVICE_CALLS, readable, without_secrets
from tests.fakes import recordings

TOKEN = "tOkEn-of.a_camera~1+2/3%4="


def reference(value, keys):
    """The same rule, over Python's own JSON and without a regular expression."""
    if isinstance(value, dict):
        return {k: reference(v, keys) for k, v in value.items() if k not in keys}
    if isinstance(value, list):
        return [reference(item, keys) for item in value]
    return value.replace(TOKEN, "") if isinstance(value, str) else value


paths = st.sampled_from(
    [
        f"/api/camera_proxy/camera.x?token={TOKEN}",
        f"/api/media_player_proxy/media_player.x?token={TOKEN}&cache=5",
        f"https://h/p?size=5&access_token={TOKEN}#top",
        f"http://h/m.mp3?authSig={TOKEN} é",
        f'said "?X-Plex-Token={TOKEN}" \n\\ twice &token={TOKEN}"',
    ]
)
harmless = st.text(alphabet='ab=?&tokenécde"\\\n/\x00\u2028', max_size=12)
numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
keys = st.sampled_from(["n", "entity_picture", "access_tokens", "tokens", "é\n"]) | harmless
values = st.recursive(
    st.none() | st.booleans() | numbers | harmless | paths,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(keys | st.sampled_from(sorted(OF_SERVICE_CALLS)), inner, max_size=5)
    ),
    max_leaves=15,
)


@given(values, st.booleans(), st.sampled_from(["state_changed", "call_service", ""]))
def test_no_secret_survives_and_nothing_else_changes(value, ascii_only, event_type):
    """At any depth, in any order, escaped or not, only what opens a door is gone."""
    raw = json.dumps(value, ensure_ascii=ascii_only, separators=(",", ":")).encode()
    clean = without_secrets(raw, event_type)
    taken = OF_SERVICE_CALLS if event_type == "call_service" else ALWAYS
    expected = reference(value, taken)
    assert json.loads(clean) == expected
    assert TOKEN.encode() not in clean
    assert list(json.loads(clean)) == list(expected) if isinstance(expected, dict) else True


def test_a_secret_behind_escapes_is_found():
    """A key or a parameter that is spelled with escapes is the same key or parameter."""
    raw = rb'{"\u0061ccess_tok\u0065n":"x","p":"/a?tok\u0065n=abc\/def&n=1"}'
    assert json.loads(without_secrets(raw)) == {"p": "/a?token=&n=1"}


def test_a_secret_in_a_key_or_under_a_key_that_comes_twice_is_found():
    """Neither a path as a key nor the first of two equal keys hides a token."""
    raw = b'{"a":{"access_token":"abc"},"a":{"/x?token=abc":"\\n"}}'
    assert b"abc" not in without_secrets(raw)
    assert b"abc" not in without_secrets(b'{"/x?token=abc":1}')


def test_numbers_keep_every_digit():
    """Numbers are copied as text: no float, no large integer can change."""
    raw = (
        b'{"access_token":"x","a":1e5,"b":1.0,"c":123456789012345678901234567890,'
        b'"d":[1e999,-0.0,0.30000000000000004]}'
    )
    assert without_secrets(raw) == raw.replace(b'"access_token":"x",', b"")
    assert without_secrets(raw, "call_service") == raw.replace(b'"access_token":"x",', b"")


def test_what_carries_no_secret_is_not_touched():
    """The very same bytes come back, whatever their spaces."""
    for raw in (b' {"a" : 1}', b'{"broken', rb'{"a":"\u00e9 token"}', b'{"tokens": 5, "b":"a=b"}'):
        assert without_secrets(raw).strip() == raw.strip() or json.loads(raw)
    raw = b' {"a" : "no secret"}'
    assert without_secrets(raw) is raw


def test_a_code_is_a_secret_in_a_service_call_only():
    """What people type to disarm goes; the code of a remote control's button stays."""
    raw = b'{"data":{"service":"alarm_disarm","service_data":{"code":"1234","n":1}}}'
    assert without_secrets(raw, "zha_event") == raw
    assert without_secrets(raw, "call_service") == raw.replace(b'"code":"1234",', b"")


@pytest.mark.parametrize(
    "raw",
    [
        b'{"access_token":',
        b'"access_token',
        b'{"a":"\xff?token=\\n"}',
        b"[" * 9999 + b"access_token",
    ],
)
def test_what_cannot_be_searched_is_malformed_and_withheld(raw):
    """Where a secret may be in what is no JSON, nothing of it is shown."""
    with pytest.raises(MalformedEvent, match="searched for secrets"):
        without_secrets(raw)
    assert readable(raw).startswith("withheld")


def test_what_is_shown_is_clean_and_bounded():
    """Readable text has no secret, also none of a service call, and a largest size."""
    assert readable(b'{"code":1,"access_token":2,"n":3}') == '{"n":3}'
    assert readable('{"n":"ééé"}'.encode(), most=8) == '{"n":"é'


@pytest.mark.parametrize("version", recordings.VERSIONS)
def test_no_token_of_a_real_home_survives(version):
    """The recordings' camera and media tokens, zeros all, are gone from every event."""
    carriers = 0
    for raw in recordings.event_texts(version):
        if b"00000000" in raw:
            carriers += 1
            assert b"00000000" not in without_secrets(raw)
    assert carriers or version != "2024.3.3"

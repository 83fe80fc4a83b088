"""What is said to commands that do not fit."""

import json
from typing import Any

import pytest

from ingest.simulator import commands
from ingest.simulator.home import RUNNING
from ingest.simulator.settings import FLAVOURS, Settings
from tests.fakes.recordings import frames

NEWER, OLDER = Settings(version="2026.11.0"), Settings(version="2024.3.3")


def said(message: object, settings: Settings = NEWER, last_id: int = 5) -> tuple[str, str] | None:
    refused = commands.refusal(message, last_id, settings)
    error = json.loads(refused[0])["error"] if refused else None
    return error and (error["code"], error["message"])


def test_a_good_command_is_not_refused():
    """Nothing is said against what fits."""
    assert said({"id": 6, "type": "ping"}) is None
    history = {"start_time": "x", "entity_ids": [], "no_attributes": True}
    assert said({"id": 6, "type": "history/history_during_period", **history}) is None


@pytest.mark.parametrize(
    "message",
    [7, {"type": "ping"}, {"id": 6}, {"id": 0, "type": "ping"}, {"id": "9", "type": "ping"},
     {"id": 9.5, "type": "ping"}, {"id": True, "type": "ping"}, {"id": 6, "type": 7},
     {"id": -3, "type": "ping"}],
)  # fmt: skip
def test_malformed_commands(message: object):
    """An id must be a positive integer, a type a text."""
    assert said(message) == ("invalid_format", "Message incorrectly formatted.")


def test_ids_must_grow():
    """An id that was used is refused; an older version says so of negative ids too."""
    reuse = ("id_reuse", "Identifier values have to increase.")
    assert said({"id": 5, "type": "ping"}) == reuse
    assert said({"id": -3, "type": "ping"}, OLDER) == reuse


def test_unknown_commands_do_not_use_up_their_id():
    """The id of an unknown command may be used again, that of a misfit not."""
    unknown = commands.refusal({"id": 6, "type": "x"}, 5, NEWER)
    misfit = commands.refusal({"id": 6, "type": "ping", "bogus": 1}, 5, NEWER)
    assert unknown
    assert misfit
    assert (unknown[1], misfit[1]) == (False, True)
    without = Settings(recorder=False)
    assert said({"id": 6, "type": "recorder/info"}, without) == (
        "unknown_command",
        "Unknown command.",
    )
    assert said({"id": 6, "type": "recorder/info"}) is None


def test_misfits_are_named():
    """What does not fit is named in Home Assistant's words."""
    bogus = {"id": 6, "type": "ping", "bogus": 1}
    assert said(bogus, OLDER) == (
        "invalid_format",
        "extra keys not allowed @ data['bogus']. Got 1",
    )
    assert said(bogus) == ("invalid_format", f"extra keys not allowed. Got {bogus}")
    assert said({"id": 6, "type": "subscribe_events", "event_type": 7}) == (
        "invalid_format",
        "expected str for dictionary value @ data['event_type']. Got 7",
    )
    assert said({"id": 6, "type": "unsubscribe_events"}) == (
        "invalid_format",
        "required key not provided @ data['subscription']. Got None",
    )


def test_the_first_message_must_be_an_auth():
    """Anything else than an auth message is described."""
    assert commands.auth_problem({"type": "auth", "access_token": "x"}) is None
    assert commands.auth_problem({"id": 1, "type": "get_states"}) == (
        "Auth message incorrectly formatted: extra keys not allowed @ data['id']. Got 1\n"
        "not a valid value for dictionary value @ data['type']. Got 'get_states'"
    )
    assert commands.auth_problem([]) is not None


def test_rights():
    """An administrator may hear everything, others what is on the list."""
    assert commands.may_subscribe(None, admin=True)
    assert not commands.may_subscribe(None, admin=False)
    assert commands.may_subscribe("state_changed", admin=False)
    assert commands.user(admin=False)["is_admin"] is False


@pytest.mark.parametrize("version", ["2024.3.3", "2026.2.3"])
def test_answers_have_the_recorded_keys(version: str):
    """get_config and recorder/info have the keys of a real home's answers."""
    config: set[str] = set()
    info: set[str] = set()
    for frame in frames(version, "a_auth_states_registries"):
        text = str(frame.get("text"))
        if frame["dir"] == "recv" and '"config_dir"' in text:
            answer: dict[str, Any] = json.loads(text)
            config = set(answer["result"])
        if frame["dir"] == "recv" and '"max_backlog"' in text:
            info = set(json.loads(text)["result"])
    assert set(commands.config(RUNNING, FLAVOURS[version])) == config
    assert set(commands.recorder_info(FLAVOURS[version])) == info

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import AuthenticationFailed, HomeAssistantUnavailable, InvalidSetting
from common.registry import Registry
from ingest.protocol import (
    REGISTRY_LISTS,
    Answer,
    Authenticated,
    Captured,
    Conversation,
    CoreConfigChanged,
    Failure,
    LostEvent,
    Pong,
    Refused,
    RegistryChanged,
    Subscribed,
    _Subscription,
)
from tests.fakes import recordings

REQUIRED = b'{"type":"auth_required","ha_version":"2026.2.3"}'
OK = b'{"type":"auth_ok","ha_version":"2026.2.3"}'
EVENT = b'{"event_type":"state_changed","data":{},"time_fired":"x"}'


def sent(conversation):
    return [json.loads(text) for text in conversation.to_send()]


def authenticated(*event_types, watch_registries=False):
    conversation = Conversation("secret", event_types, watch_registries=watch_registries)
    conversation.receive(OK)
    ids = {m.get("event_type"): m["id"] for m in sent(conversation)}
    return conversation, ids


def result(number, *, success=True, **more):
    return json.dumps({"id": number, "type": "result", "success": success, **more}).encode()


def failed(number, code="unknown_error", message="Oh"):
    return result(number, success=False, error={"code": code, "message": message})


def test_the_token_is_sent_when_it_is_asked_for_and_nothing_else_before_it_is_accepted():
    """Before auth_ok only the token goes out, after it the features and then the subscriptions."""
    conversation = Conversation("secret", ["state_changed"])
    conversation.ask("get_states")
    assert conversation.to_send() == []
    assert conversation.receive(REQUIRED) == []
    assert sent(conversation) == [{"type": "auth", "access_token": "secret"}]
    assert conversation.to_send() == []
    assert conversation.receive(OK) == [Authenticated("2026.2.3")]
    commands = sent(conversation)
    assert commands[0] == {
        "id": 1,
        "type": "supported_features",
        "features": {"coalesce_messages": 1},
    }
    assert commands[1] == {"id": 2, "type": "subscribe_events", "event_type": "state_changed"}
    assert {m["event_type"] for m in commands[2:-1]} == {
        "area_registry_updated",
        "core_config_updated",
        "device_registry_updated",
        "entity_registry_updated",
        "floor_registry_updated",
        "label_registry_updated",
    }
    assert commands[-1]["type"] == "get_states"
    assert [m["id"] for m in commands] == list(range(1, len(commands) + 1))
    assert conversation.to_send() == []


def test_an_auth_ok_that_comes_unasked_is_enough():
    """Over the Supervisor's socket auth_ok comes first, and no token is sent."""
    conversation = Conversation("secret", ["state_changed"], watch_registries=False)
    assert conversation.receive(OK) == [Authenticated("2026.2.3")]
    assert [m["type"] for m in sent(conversation)] == ["supported_features", "subscribe_events"]


def test_a_refused_token_is_fatal_and_says_what_to_do():
    """auth_invalid stops everything, names the setting, and never shows the token."""
    conversation = Conversation("secret", ["state_changed"])
    conversation.receive(REQUIRED)
    with pytest.raises(AuthenticationFailed, match=r"Nope.*HA_ACCESS_TOKEN") as caught:
        conversation.receive(b'{"type":"auth_invalid","message":"Nope"}')
    assert "secret" not in str(caught.value)
    with pytest.raises(AuthenticationFailed, match="no reason given"):
        Conversation("secret", []).receive(b'{"type":"auth_invalid"}')


@pytest.mark.parametrize(
    "frame",
    [
        b'{"type":"event","id":1,"event":{}}',
        b'{"type":"hello"}',
        b"5",
        b"{}",
        b"[{}]",
        b'{"type":5}',
    ],
)
def test_anything_else_before_the_greeting_breaks_the_conversation(frame):
    """What is no greeting comes from no Home Assistant, so the address is put in doubt."""
    with pytest.raises(HomeAssistantUnavailable, match="HA_WEBSOCKET_URL"):
        Conversation("secret", []).receive(frame)


def test_a_second_demand_for_the_token_breaks_the_conversation():
    """The token is sent once a connection, for each wrong one may count towards a ban."""
    conversation = Conversation("secret", [])
    conversation.receive(REQUIRED)
    with pytest.raises(HomeAssistantUnavailable, match="auth_required"):
        conversation.receive(REQUIRED)


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"\x00\xff",
        b"<html>",
        b'{"type":"event"',
        b'{"type":5,',
        b'[{"type":5},]',
        b'{"type":"\xff"}',
        "\ud800",
        b'{"type":"event","event":' + b"[" * 100_000,
    ],
)
def test_a_frame_that_is_not_json_breaks_the_conversation(frame):
    """Rubbish on the socket is no poison event: reconnect."""
    conversation, _ = authenticated("state_changed")
    with pytest.raises(HomeAssistantUnavailable, match="not JSON"):
        conversation.receive(frame)


@given(st.binary(max_size=60) | st.text(max_size=60))
def test_no_frame_raises_anything_but_our_errors(frame):
    """Whatever comes is either understood or a broken conversation."""
    conversation, _ = authenticated("state_changed")
    with suppress(HomeAssistantUnavailable):
        conversation.receive(frame)


def test_an_event_comes_out_byte_by_byte():
    """A captured event is the slice of the frame: spaces, numbers and order as they were."""
    conversation, ids = authenticated("state_changed")
    event = '{"b" : 1e5, "a":\t[1.0 ,"°"]}'.encode()
    frame = b'{"type":"event", "event": ' + event + b' ,"id":%d}' % ids["state_changed"]
    assert conversation.receive(frame) == [Captured(event)]
    assert conversation.receive(frame.decode()) == [Captured(event)]


def test_a_list_frame_is_each_of_its_messages_in_order():
    """A coalesced frame may mix events, results and pongs."""
    conversation, ids = authenticated("state_changed")
    ping = conversation.ping()
    number = ids["state_changed"]
    event = b'{"type":"event","event":%b,"id":%d}' % (EVENT, number)
    pong = b'{"id":%d,"type":"pong"}' % ping
    frame = b"[" + b",".join([result(number), event, pong, event]) + b"]"
    assert conversation.receive(frame) == [
        Subscribed("state_changed"),
        Captured(EVENT),
        Pong(ping),
        Captured(EVENT),
    ]


def test_a_message_of_an_unknown_shape_costs_nothing_but_itself():
    """Unknown messages are counted, and their neighbours in the frame are understood."""
    conversation, ids = authenticated("state_changed")
    event = b'{"type":"event","event":%b,"id":%d}' % (EVENT, ids["state_changed"])
    odd = [b"5", b'{"type":7}', b'{"type":"result","id":"x"}', b'{"type":"brand_new"}', b"{}"]
    assert conversation.receive(b"[" + b",".join([*odd, event]) + b"]") == [Captured(EVENT)]
    assert conversation.ignored == 5
    assert conversation.receive(b"null") == []
    assert conversation.receive(b" {}") == []
    assert conversation.ignored == 7


@pytest.mark.parametrize(
    "frame",
    [
        b'{"type":"event","event":{},"id":99}',
        b'{"type":"event","event":{}}',
        b'{"type":"event","id":2}',
        b'{"type":"result","success":true,"id":99}',
        b'{"type":"result","success":false,"id":null,"error":{"code":"invalid_format"}}',
        b'{"type":"pong","id":99}',
        b'{"type":"auth_ok"}',
    ],
)
def test_what_nobody_waits_for_is_counted(frame):
    """Events, results and pongs with a foreign id are ignored and counted."""
    conversation, _ = authenticated("state_changed")
    assert conversation.receive(frame) == []
    assert conversation.ignored == 1


def test_an_answer_comes_with_its_id_and_its_command():
    """The result is raw JSON; an error is its code and message; each id is answered once."""
    conversation, _ = authenticated()
    first = conversation.ask("get_states")
    second = conversation.ask("config/area_registry/list", area_id="x")
    assert sent(conversation)[1] == {
        "id": second,
        "type": "config/area_registry/list",
        "area_id": "x",
    }
    assert second == first + 1
    assert conversation.receive(failed(second, "not_found", "Where?")) == [
        Answer(second, "config/area_registry/list", None, Failure("not_found", "Where?"))
    ]
    answer = b'{"id":%d,"type":"result","success":true,"result":[1.0, 2]}' % first
    assert conversation.receive(answer) == [Answer(first, "get_states", b"[1.0, 2]", None)]
    assert conversation.receive(answer) == []
    assert conversation.ignored == 1


@pytest.mark.parametrize(
    "error",
    [
        *(b"null", b"{}", b'"no"', b'{"code":null,"message":{}}', b'{"code":"\xff"}'),
        b"[" * 900 + b"]" * 900,
        b'{"code":' * 900 + b"1" + b"}" * 900,
    ],
)
def test_an_error_of_any_shape_is_a_failure(error):
    """A failed command is an Answer with an error even where Home Assistant does not say which."""
    conversation, _ = authenticated()
    number = conversation.ask("x")
    [answer] = conversation.receive(
        b'{"id":%d,"type":"result","success":false,"error":%b}' % (number, error)
    )
    assert answer.result is None
    assert isinstance(answer.error.code, str)
    assert isinstance(answer.error.message, str)


def test_a_refused_ping_is_an_answer():
    """A ping that fails is told, so that nobody waits for its pong for ever."""
    conversation, _ = authenticated()
    number = conversation.ping()
    assert conversation.receive(failed(number)) == [
        Answer(number, "ping", None, Failure("unknown_error", "Oh"))
    ]


def test_an_older_home_assistant_without_coalescing_is_fine():
    """That supported_features is refused is an answer, not an error."""
    conversation, _ = authenticated("state_changed")
    [answer] = conversation.receive(failed(1, "unknown_command"))
    assert answer.command == "supported_features"


def test_a_changed_registry_is_told_and_only_captured_when_the_user_wants_it():
    """One subscription serves both needs, in whatever combination."""
    conversation, ids = authenticated("entity_registry_updated", watch_registries=True)
    assert sorted(ids.values()) == list(range(1, 8))  # the features, five registries, the core
    entity = b'{"type":"event","event":{},"id":%d}' % ids["entity_registry_updated"]
    area = b'{"type":"event","event":{},"id":%d}' % ids["area_registry_updated"]
    core = b'{"type":"event","event":{},"id":%d}' % ids["core_config_updated"]
    assert conversation.receive(entity) == [Captured(b"{}"), RegistryChanged("entities")]
    assert conversation.receive(area) == [RegistryChanged("areas")]
    assert conversation.receive(core) == [CoreConfigChanged()]
    unwatched, ids = authenticated("entity_registry_updated")
    entity = b'{"type":"event","event":{},"id":%d}' % ids["entity_registry_updated"]
    assert unwatched.receive(entity) == [Captured(b"{}")]


def test_every_registry_of_the_bus_can_be_listed():
    """The kinds are the fields of ha:registry, each with the command that lists it."""
    assert set(REGISTRY_LISTS) == set(Registry.KINDS)
    assert REGISTRY_LISTS["devices"] == "config/device_registry/list"


def test_all_events_are_one_subscription():
    """With * among the types nothing else is subscribed for capture, so nothing comes twice."""
    _, ids = authenticated("state_changed", "*", "call_service")
    assert set(ids) == {None, "*"}


def test_a_type_that_is_named_twice_is_subscribed_once():
    """The same type twice would capture each event twice."""
    conversation = Conversation("secret", ["a", "b", "a"], watch_registries=False)
    conversation.receive(OK)
    assert [m.get("event_type") for m in sent(conversation)] == [None, "a", "b"]


def test_a_refused_type_of_the_user_is_an_invalid_setting():
    """What the user asked for and may not have names HA_EVENT_TYPES and the way out."""
    conversation, ids = authenticated("call_service")
    with pytest.raises(InvalidSetting, match=r"HA_EVENT_TYPES.*call_service.*administrator"):
        conversation.receive(failed(ids["call_service"], "unauthorized", "Unauthorized"))
    conversation, ids = authenticated("state_reported")
    with pytest.raises(InvalidSetting, match=r"state_reported.*filter is required.*take it out$"):
        conversation.receive(
            failed(ids["state_reported"], "home_assistant_error", "filter is required")
        )
    conversation, ids = authenticated("*")
    with pytest.raises(InvalidSetting, match=r"every event type"):
        conversation.receive(failed(ids["*"], "unauthorized", "Unauthorized"))


def test_a_refusal_that_may_pass_is_no_invalid_setting():
    """An unknown error while subscribing asks for another connect."""
    conversation, ids = authenticated("state_changed")
    with pytest.raises(HomeAssistantUnavailable, match="state_changed"):
        conversation.receive(failed(ids["state_changed"], "unknown_error"))


def test_a_refused_registry_is_tolerated():
    """Old homes have no floors; capture goes on without them."""
    conversation, ids = authenticated("state_changed", watch_registries=True)
    number = ids["floor_registry_updated"]
    assert conversation.receive(failed(number, "unauthorized", "Unauthorized")) == [
        Refused("floor_registry_updated", Failure("unauthorized", "Unauthorized"))
    ]
    assert conversation.receive(failed(number)) == []
    assert conversation.ignored == 1


def test_a_failed_result_on_a_live_subscription_is_one_lost_event():
    """An event that Home Assistant cannot serialise is told, and the subscription lives on."""
    conversation, ids = authenticated("state_changed", watch_registries=True)
    number = ids["state_changed"]
    conversation.receive(result(number))
    invalid = failed(number, "unknown_error", "Invalid JSON in response")
    assert conversation.receive(invalid) == [LostEvent("state_changed", "Invalid JSON in response")]
    event = b'{"type":"event","event":%b,"id":%d}' % (EVENT, number)
    assert conversation.receive(event) == [Captured(EVENT)]
    area = ids["area_registry_updated"]
    conversation.receive(result(area))
    assert conversation.receive(failed(area)) == [RegistryChanged("areas")]


def replayed(version, name):
    """Run a recording through conversations; yield (connection, happening, message counts)."""
    conversations = {}
    for frame in recordings.frames(version, name):
        connection, text = frame.get("conn"), str(frame.get("text"))
        if frame["dir"] == "recv":
            if b"auth_required" in text.encode()[:30]:
                conversations[connection] = Conversation("t", [], watch_registries=False)
                conversations[connection]._asked.clear()
            try:
                happenings = conversations[connection].receive(text)
            except (AuthenticationFailed, InvalidSetting) as error:
                happenings = [error]
            yield from ((connection, happening) for happening in happenings)
        elif frame["dir"] == "send" and connection in conversations:
            note_commands(conversations[connection], text)


def note_commands(conversation, text):
    """Let a conversation believe that it sent what the recorded client sent."""
    try:
        commands = json.loads(text)
    except ValueError:
        return
    for command in commands if isinstance(commands, list) else [commands]:
        if not isinstance(command, dict):
            continue
        number = command.get("id")
        if command.get("type") == "subscribe_events":
            event_type = command.get("event_type", "*")
            conversation._subscriptions[number] = _Subscription(
                event_type, is_captured=True, notice=None
            )
        elif isinstance(number, int):
            conversation._asked[number] = command.get("type")


@pytest.mark.parametrize(
    ("version", "name"),
    [(v, n) for v in recordings.VERSIONS for n in recordings.names(v) if n[0] in "acde"]
    + [("2024.3.3", "b_events_plain"), ("2024.3.3", "b_driver_commands")],
)
def test_every_event_of_a_real_home_comes_out_once_and_in_order(version, name):
    """Each event message of a recording is captured exactly once, list frames included."""
    expected, captured = {}, {}
    for frame in recordings.frames(version, name):
        if frame["dir"] != "recv":
            continue
        messages = json.loads(frame["text"])
        for message in messages if isinstance(messages, list) else [messages]:
            if "event_type" in message.get("event", {}):
                expected.setdefault(frame["conn"], []).append(message["event"])
    for connection, happening in replayed(version, name):
        if isinstance(happening, Captured):
            captured.setdefault(connection, []).append(json.loads(happening.event))
    assert captured == expected


@pytest.mark.parametrize("version", recordings.VERSIONS)
def test_the_refusals_of_a_real_home_are_understood(version):
    """Wrong tokens, a read-only user and wrong commands of a recording get their meaning."""
    by_connection = {}
    for connection, happening in replayed(version, "e_errors"):
        by_connection.setdefault(connection, []).append(happening)
    assert isinstance(by_connection["auth_invalid"][0], AuthenticationFailed)
    viewer = by_connection["viewer"]
    assert any(isinstance(h, InvalidSetting) and "HA_EVENT_TYPES" in str(h) for h in viewer)
    codes = {h.error.code for h in by_connection["admin_errors"] if getattr(h, "error", None)}
    assert {"unknown_command", "id_reuse", "invalid_format"} <= codes

"""The WebSocket API of Home Assistant, without the socket: frames go in, happenings come out."""

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from common.errors import AuthenticationFailed, HomeAssistantUnavailable, InvalidSetting

REGISTRY_EVENTS: Mapping[str, str] = {
    "area_registry_updated": "areas",
    "floor_registry_updated": "floors",
    "label_registry_updated": "labels",
    "device_registry_updated": "devices",
    "entity_registry_updated": "entities",
}
"""Event type that says that a registry changed → field of `ha:registry`."""

REGISTRY_LISTS: Mapping[str, str] = {
    kind: f"config/{event_type.removesuffix('_updated')}/list"
    for event_type, kind in REGISTRY_EVENTS.items()
}
"""Field of `ha:registry` → command that lists this registry; no administrator is needed."""

ALL_EVENTS = "*"
"""In place of an event type: every type there is. Only administrators may subscribe to it."""

_PASSING = frozenset({"unknown_error", "unknown_command", "timeout"})
"""Error codes of a refusal that may be another answer after the next connect."""


class Authenticated(msgspec.Struct, frozen=True):
    """Home Assistant accepted the token; what `to_send` now returns subscribes."""

    ha_version: str


class Captured(msgspec.Struct, frozen=True, gc=False):
    """An event of a type that the user asked for.

    Attributes:
        event: Home Assistant's event object as JSON, cut out of the frame as it was.
    """

    event: bytes


class RegistryChanged(msgspec.Struct, frozen=True):
    """A registry is not what it was; its events carry too little, so list it anew.

    Attributes:
        kind: Field of `ha:registry`: `areas`, `floors`, `labels`, `devices`, `entities`.
    """

    kind: str


class CoreConfigChanged(msgspec.Struct, frozen=True):
    """The home's configuration or its state of running changed; `get_config` tells which.

    Home Assistant fires it at STARTING and at RUNNING too.
    """


class Failure(msgspec.Struct, frozen=True):
    """Why Home Assistant did not do what it was asked.

    Attributes:
        code: `unknown_command`, `unauthorized`, `invalid_format`…
    """

    code: str
    message: str


class Answer(msgspec.Struct, frozen=True):
    """What Home Assistant answered to a command of `ask`.

    Attributes:
        id: What `ask` returned.
        command: The command's type, e.g. `get_states`.
        result: JSON; None where the command failed.
        error: None where it succeeded.
    """

    id: int
    command: str
    result: bytes | None
    error: Failure | None


class Subscribed(msgspec.Struct, frozen=True):
    """From now on no event of this type is missed on this connection."""

    event_type: str


class Refused(msgspec.Struct, frozen=True):
    """A subscription that only habus itself wanted was refused; all else goes on."""

    event_type: str
    error: Failure


class Pong(msgspec.Struct, frozen=True):
    """The answer to a ping: all that Home Assistant sent before it has come.

    Attributes:
        id: What `ping` returned.
    """

    id: int


class LostEvent(msgspec.Struct, frozen=True):
    """Home Assistant could not write one event as JSON; it did not say which.

    Source: `websocket_api/messages.py`: a failed result with the id of a live subscription.
    """

    event_type: str
    message: str


Happening = (
    Authenticated
    | Captured
    | RegistryChanged
    | CoreConfigChanged
    | Answer
    | Subscribed
    | Refused
    | Pong
    | LostEvent
)

_NOTICES: Mapping[str, RegistryChanged | CoreConfigChanged] = {
    **{event_type: RegistryChanged(kind) for event_type, kind in REGISTRY_EVENTS.items()},
    "core_config_updated": CoreConfigChanged(),
}


class _Message(msgspec.Struct, gc=False):
    type: str
    id: int | None = None
    event: msgspec.Raw = msgspec.Raw()
    success: bool = False
    result: msgspec.Raw = msgspec.Raw(b"null")
    error: msgspec.Raw = msgspec.Raw(b"null")
    message: str = ""
    ha_version: str = "unknown"


class _Subscription(msgspec.Struct):
    event_type: str
    is_captured: bool
    notice: RegistryChanged | CoreConfigChanged | None
    is_live: bool = False


_frame_decoder = msgspec.json.Decoder(_Message | list[_Message])
_message_decoder = msgspec.json.Decoder(_Message)
_list_decoder = msgspec.json.Decoder(list[msgspec.Raw])
_raw_decoder = msgspec.json.Decoder(msgspec.Raw)


class Conversation:
    """One connection's conversation, from the first frame on; a new connection needs a new one.

    Hand each frame to `receive`, then send what `to_send` returns.

    Args:
        token: Long-lived access token.
        event_types: Event types to capture; `*` is all of them.
        watch_registries: Also ask to be told when a registry or the core's configuration changes.

    Attributes:
        ignored: Messages that nobody waited for or that habus does not know.
    """

    def __init__(
        self, token: str, event_types: Iterable[str], *, watch_registries: bool = True
    ) -> None:
        self.ignored = 0
        self._token = token
        self._is_token_sent = False
        self._is_authenticated = False
        self._greetings: list[str] = []
        self._commands: list[str] = []
        self._last_id = 0
        self._asked: dict[int, str] = {}
        self._subscriptions: dict[int | None, _Subscription] = {}
        self.ask("supported_features", features={"coalesce_messages": 1})
        captured = set(event_types)
        if ALL_EVENTS in captured:
            captured = {ALL_EVENTS}
        watched = set(_NOTICES) if watch_registries else set()
        for event_type in sorted(captured) + sorted(watched - captured):
            notice = _NOTICES[event_type] if event_type in watched else None
            subscription = _Subscription(event_type, event_type in captured, notice)
            self._subscriptions[self._say("subscribe_events", event_type=event_type)] = subscription

    def ask(self, command: str, **parameters: object) -> int:
        """Put a command on its way and return its id; the reply is an `Answer` with this id."""
        number = self._say(command, **parameters)
        self._asked[number] = command
        return number

    def ping(self) -> int:
        """Ask for a sign of life and return its id; the reply is a `Pong` with this id."""
        return self.ask("ping")

    def to_send(self) -> list[str]:
        """Return, once, the frames that are to be sent now; commands wait for `Authenticated`."""
        frames, self._greetings = self._greetings, []
        if self._is_authenticated:
            frames += self._commands
            self._commands = []
        return frames

    def receive(self, frame: bytes | str) -> list[Happening]:
        """Take in one frame, a message or a list of messages, and return what it means.

        Raises:
            AuthenticationFailed: When Home Assistant refuses the token; do not try again.
            InvalidSetting: When it refuses an event type of the user.
            HomeAssistantUnavailable: When this is no conversation any more; connect anew.
        """
        happenings: list[Happening] = []
        for message in self._messages(frame):
            if message.type != "event" or not self._is_authenticated:
                happenings += self._heard(message)
                continue
            subscription = self._subscriptions.get(message.id)
            if subscription is None or not message.event:
                self.ignored += 1
                continue
            if subscription.is_captured:
                happenings.append(Captured(bytes(message.event)))
            if subscription.notice is not None:
                happenings.append(subscription.notice)
        return happenings

    def _say(self, command: str, **parameters: object) -> int:
        self._last_id += 1
        message = {"id": self._last_id, "type": command, **parameters}
        self._commands.append(msgspec.json.encode(message).decode())
        return self._last_id

    def _messages(self, frame: bytes | str) -> list[_Message]:
        try:
            try:
                messages = _frame_decoder.decode(frame)
            except msgspec.ValidationError:
                return list(self._readable_messages(frame))
        except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
            raise HomeAssistantUnavailable(
                f"what came over the socket is not JSON ({error}); connecting again"
            ) from error
        return messages if isinstance(messages, list) else [messages]

    def _readable_messages(self, frame: bytes | str) -> Iterator[_Message]:
        """Yield the messages of a frame in which at least one has an unknown shape."""
        whole = _raw_decoder.decode(frame)
        is_list = bytes(whole).startswith(b"[")
        for part in _list_decoder.decode(whole) if is_list else [whole]:
            try:
                message = _message_decoder.decode(part)
            except msgspec.ValidationError as error:
                if not self._is_authenticated:
                    raise _not_home_assistant(str(error)) from error
                self.ignored += 1
            else:
                yield message

    def _heard(self, message: _Message) -> list[Happening]:
        if not self._is_authenticated:
            return self._greeted(message)
        if message.type == "result":
            return self._answered(message)
        if message.type == "pong" and message.id in self._asked:
            del self._asked[message.id]
            return [Pong(message.id)]
        self.ignored += 1
        return []

    def _greeted(self, message: _Message) -> list[Happening]:
        if message.type == "auth_required" and not self._is_token_sent:
            auth = {"type": "auth", "access_token": self._token}
            self._greetings.append(msgspec.json.encode(auth).decode())
            self._is_token_sent = True
            return []
        if message.type == "auth_ok":  # over Supervisor's socket it comes unasked
            self._is_authenticated = True
            return [Authenticated(message.ha_version)]
        if message.type == "auth_invalid":
            raise AuthenticationFailed(
                f"Home Assistant refused the access token: {message.message or 'no reason given'}. "
                "Make a new long-lived access token (in Home Assistant: your profile, Security) "
                "and put it into HA_ACCESS_TOKEN"
            )
        raise _not_home_assistant(f"a message of type {message.type!r}")

    def _answered(self, message: _Message) -> list[Happening]:
        failure = None if message.success else _failure_of(message.error)
        subscription = self._subscriptions.get(message.id)
        if subscription is not None:
            return self._subscription_answered(message.id, subscription, failure)
        if message.id not in self._asked:
            self.ignored += 1
            return []
        command = self._asked.pop(message.id)
        result = bytes(message.result) if failure is None else None
        return [Answer(message.id, command, result, failure)]

    def _subscription_answered(
        self, number: int | None, subscription: _Subscription, failure: Failure | None
    ) -> list[Happening]:
        if failure is None:
            subscription.is_live = True
            return [Subscribed(subscription.event_type)]
        if subscription.is_live:
            happenings: list[Happening] = []
            if subscription.is_captured:
                happenings.append(LostEvent(subscription.event_type, failure.message))
            if subscription.notice is not None:
                happenings.append(subscription.notice)
            return happenings
        if subscription.is_captured:
            raise _refusal(subscription.event_type, failure)
        del self._subscriptions[number]
        return [Refused(subscription.event_type, failure)]


def _failure_of(error: msgspec.Raw) -> Failure:
    try:
        details = msgspec.json.decode(error)
    except (msgspec.DecodeError, RecursionError, UnicodeError):  # until now it was only skipped
        details = None
    if not isinstance(details, dict):
        details = {}
    code = str(details.get("code", "unknown_error"))
    return Failure(code, str(details.get("message", "no message")))


def _not_home_assistant(what: str) -> HomeAssistantUnavailable:
    return HomeAssistantUnavailable(
        f"expected Home Assistant's greeting, got {what}; "
        "is HA_WEBSOCKET_URL Home Assistant's /api/websocket?"
    )


def _refusal(event_type: str, failure: Failure) -> InvalidSetting | HomeAssistantUnavailable:
    what = "every event type (*)" if event_type == ALL_EVENTS else event_type
    said = f"{failure.message} ({failure.code})"
    if failure.code in _PASSING:
        return HomeAssistantUnavailable(f"Home Assistant did not subscribe us to {what}: {said}")
    advice = "take it out"
    if failure.code == "unauthorized":
        advice += ", or use the token of an administrator in HA_ACCESS_TOKEN"
    return InvalidSetting(
        f"HA_EVENT_TYPES asks for {what}, and Home Assistant refuses it: {said}; {advice}"
    )

"""How the simulated home can misbehave: what is switched on, and the rubbish it can send."""

from dataclasses import dataclass, field
from random import Random

from ingest.simulator.happenings import Said

MARK = b"SUBSCRIPTION"
"""Stands for the id of the client's subscription in `RUBBISH`."""

_STATE = (
    b'{"entity_id":"sensor.odd","state":"1","attributes":{},"last_changed":"2026-11-20T15:44:33.435789+00:00",'
    b'"last_updated":"2026-11-20T15:44:33.435789+00:00","context":{"id":"1","parent_id":null,"user_id":null}}'
)
_TIME = b'"2026-11-20T15:44:33.435789+00:00"'


def _event(data: bytes, *, time: bytes = _TIME, event_type: bytes = b'"state_changed"') -> bytes:
    fired = b',"time_fired":' + time if time else b""
    return (
        b'{"type":"event","event":{"event_type":' + event_type + b',"data":' + data
        + b',"origin":"LOCAL"' + fired + b',"context":{"id":"1","parent_id":null,"user_id":null}},'
        + b'"id":' + MARK + b"}"
    )  # fmt: skip


def _change(new: bytes, entity_id: bytes = b'"sensor.odd"') -> bytes:
    return b'{"entity_id":' + entity_id + b',"old_state":null,"new_state":' + new + b"}"


NOT_A_CONVERSATION = {
    "not_json": b"{nope",
    "truncated": b'{"type":"event","event":{"event_type":"state_changed","data":{"entity_id":"sen',
    "bad_utf8": b'{"type":"\xff\xfe"}',
    "empty": b"",
    "deep": b"[" * 5_000,
}
"""Text frames that are no JSON: a broken conversation."""

UNASKED = {
    "unknown_result": b'{"id":987654321,"type":"result","success":true,"result":null}',
    "unknown_event": b'{"type":"event","event":' + _STATE + b',"id":987654321}',
    "unasked_pong": b'{"id":987654321,"type":"pong"}',
    "unknown_type": b'{"id":1,"type":"surprise"}',
    "no_type": b"{}",
    "number": b"7",
    "null": b"null",
    "empty_list": b"[]",
    "list_of_numbers": b"[1]",
    "unserializable_event": b'{"type":"result","success":false,"error":{"code":"unknown_error",'
    b'"message":"Invalid JSON in response"},"id":' + MARK + b"}",
}
"""Messages that nobody asked for; the conversation goes on."""

MALFORMED = {
    "no_new_state": _event(b'{"entity_id":"sensor.odd","old_state":null}'),
    "new_state_text": _event(_change(b'"on"')),
    "new_state_list": _event(_change(b"[]")),
    "new_state_empty": _event(_change(b"{}")),
    "no_state": _event(_change(_STATE.replace(b'"state":"1",', b""))),
    "state_number": _event(_change(_STATE.replace(b'"state":"1"', b'"state":1'))),
    "state_null": _event(_change(_STATE.replace(b'"state":"1"', b'"state":null'))),
    "attributes_list": _event(_change(_STATE.replace(b'"attributes":{}', b'"attributes":[1]'))),
    "attributes_null": _event(_change(_STATE.replace(b'"attributes":{}', b'"attributes":null'))),
    "no_last_updated": _event(_change(_STATE.replace(b'"last_updated":' + _TIME + b",", b""))),
    "entity_id_null": _event(_change(_STATE, b"null")),
    "entity_id_number": _event(_change(_STATE, b"7")),
    "entity_id_without_dot": _event(_change(_STATE, b'"odd"')),
    "no_time": _event(_change(b"null"), time=b""),
    "bad_time": _event(_change(b"null"), time=b'"yesterday"'),
    "time_number": _event(_change(b"null"), time=b"1795189957.5"),
    "data_null": _event(b"null"),
    "data_list": _event(b"[]"),
    "event_type_null": _event(_change(_STATE), event_type=b"null"),
    "event_null": b'{"type":"event","event":null,"id":' + MARK + b"}",
    "no_event": b'{"type":"event","id":' + MARK + b"}",
    "surrogate": _event(_change(_STATE.replace(b'"state":"1"', b'"state":"\\ud800"'))),
    "huge_number": _event(_change(_STATE.replace(b"{}", b'{"many":' + b"9" * 400 + b"}"))),
}
"""Event messages of a live subscription that are not what they should be: poison."""

BINARY = "binary"
"""A frame that is no text."""

RUBBISH = {**NOT_A_CONVERSATION, **UNASKED, **MALFORMED, BINARY: b"\x01\x02\x03"}
"""Every kind of rubbish, by name."""


def rubbish(kind: str, subscription: int) -> tuple[bytes, bool]:
    """A frame's payload, and whether it is text.

    Raises:
        KeyError: When there is no such kind.
    """
    return RUBBISH[kind].replace(MARK, b"%d" % subscription), kind != BINARY


@dataclass(slots=True)
class Mischief:
    """What is switched on.

    Attributes:
        refuses_token: Every token is answered `auth_invalid`.
        hangs_up_after_auth: The socket closes right after `auth_ok`, as Supervisor does while Core
            is down.
        bad_gateway: The upgrade is answered 502.
        silent: No frames and no pongs, but the connection stands.
        deaf: Nothing is read; events go on.
        slow_s: Seconds before each frame that is written.
        twice: Every event is sent twice.
        late_s: Seconds by which events are late.
        window: Events that are gathered and shuffled; 0: none.
        states_mb: Megabytes that are added to the answer of `get_states`.
        history: How history fails: ``, `error`, `empty`, `huge`, `slow` or `never`.
        history_slow_s: Seconds that a slow history takes.
    """

    refuses_token: bool = False
    hangs_up_after_auth: bool = False
    bad_gateway: bool = False
    silent: bool = False
    deaf: bool = False
    slow_s: float = 0.0
    twice: bool = False
    late_s: float = 0.0
    window: int = 0
    states_mb: float = 0.0
    history: str = ""
    history_slow_s: float = 3.0
    _gathered: list[tuple[str, bytes]] = field(default_factory=list)
    _dice: Random = field(default_factory=lambda: Random(1))  # noqa: S311 - a shuffle that can be repeated

    @property
    def quiet(self) -> bool:
        """Whether events are told as they happen: in order, once, and all."""
        return not (self.twice or self.window or self._gathered or self.late_s)

    def disturbed(self, said: list[Said]) -> list[Said]:
        """What is told of what was said: doubled, shuffled, held back until the window is full."""
        if self.twice:
            said = [(kind, [event for event in events for _ in range(2)]) for kind, events in said]
        if not self.window and not self._gathered:
            return said
        self._gathered += [(kind, event) for kind, events in said for event in events]
        if len(self._gathered) < self.window:
            return []
        gathered, self._gathered = self._gathered, []
        self._dice.shuffle(gathered)
        return [(kind, [event]) for kind, event in gathered]

"""A server that says again what a real Home Assistant said: see `tests/recordings/README.md`."""

import json
import re
from collections import defaultdict
from typing import Any, Self

from websockets.asyncio.server import Server, ServerConnection, serve

from tests.fakes.recordings import frames

ANSWERS = "a_auth_states_registries"
"""Recording with the greeting, and with the answers to every question about a home."""

_ID_OF_EVENT = re.compile(r'"id":\d+\}(?=$|\]$|,\{"(?:type":"event"|id":\d+,"type":"result"))')
_ID_OF_RESULT = re.compile(r'\{"id":\d+,("type": ?"result")')
_NOBODY = 0
"""Id that no client uses: of the recorder's own questions, whose answers came between events."""


class RecordedHome:
    """Answers and tells as recorded, but for the ids of messages, which are the client's.

    It plays one recorded connection after the other, each as soon as its client has asked for the
    states; it hangs up between two, and leaves the last open.

    Args:
        version: Of Home Assistant.
        name: Recording with the events.
        connection: Only what came over the connection of this name.

    Attributes:
        played: Connections that were played to their end.
        states: Recorded answer to `get_states`.
    """

    token = "REDACTED_LONG_LIVED_TOKEN"

    def __init__(self, version: str, name: str, connection: str | None = None) -> None:
        self._greetings, self._answers = _questions_and_answers(version)
        self._connections = _connections(version, name, connection)
        self.played = 0
        self.states: list[dict[str, Any]] = json.loads(self._answers["get_states"])["result"]

    @property
    def url(self) -> str:
        """Address for `HA_WEBSOCKET_URL`."""
        port = next(iter(self._server.sockets)).getsockname()[1]
        return f"ws://127.0.0.1:{port}/api/websocket"

    @property
    def is_over(self) -> bool:
        """Has it said all that was recorded?"""
        return self.played == len(self._connections)

    async def __aenter__(self) -> Self:
        self._server: Server = await serve(self._meet, "127.0.0.1", 0, compression=None)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _meet(self, socket: ServerConnection) -> None:
        await socket.send(self._greetings["auth_required"])
        auth = json.loads(await socket.recv())
        assert auth == {"type": "auth", "access_token": self.token}, auth
        await socket.send(self._greetings["auth_ok"])
        subscriptions: dict[str, int] = {}
        has_asked = False
        async for text in socket:
            command = json.loads(text)
            number, kind = command["id"], command["type"]
            if kind == "subscribe_events":
                subscriptions[command["event_type"]] = number
            answer = self._answers.get(kind, '{"id":0,"type":"result","success":true}')
            await socket.send(_of_result(number, answer))
            if kind == "get_states" and not has_asked:
                has_asked = True
                await self._play(socket, subscriptions)

    async def _play(self, socket: ServerConnection, subscriptions: dict[str, int]) -> None:
        for text in [] if self.is_over else self._connections[self.played]:
            messages = _messages(text)
            mapped, count = _ID_OF_EVENT.subn(f'"id":{subscriptions["*"]}}}', text)
            assert count == len(messages), text[:1000]
            await socket.send(_of_result(_NOBODY, mapped))
            for message in messages:  # whoever subscribed to its type alone hears it, too
                if number := subscriptions.get(message["event"]["event_type"]):
                    await socket.send(json.dumps({**message, "id": number}))
        self.played += 1
        if not self.is_over:
            await socket.close()


def _of_result(number: int, text: str) -> str:
    return _ID_OF_RESULT.sub(rf'{{"id":{number},\1', text)


def _questions_and_answers(version: str) -> tuple[dict[str, str], dict[str, str]]:
    """Greeting by its type, and the last answer to each command that succeeded."""
    greetings: dict[str, str] = {}
    answers: dict[str, str] = {}
    asked: dict[int, str] = {}
    for frame in frames(version, ANSWERS):
        text = str(frame["text"])
        if frame["dir"] not in {"send", "recv"}:
            continue
        message = json.loads(text)
        if frame["dir"] == "send":
            asked[message.get("id", 0)] = message["type"]
        elif message["type"].startswith("auth"):
            greetings[message["type"]] = text
        elif message.get("success"):
            answers[asked[message["id"]]] = text
    return greetings, {
        kind: text for kind, text in answers.items() if kind.endswith(("get_states", "/list"))
    }


def _connections(version: str, name: str, connection: str | None) -> list[list[str]]:
    """Frames with events, as they came, of each connection that had any."""
    found: list[list[str]] = []
    open_now: dict[object, list[str]] = defaultdict(list)
    for frame in frames(version, name):
        who, text = frame.get("conn"), str(frame.get("text"))
        if frame["dir"] == "close":
            found.append(open_now.pop(who, []))
        elif frame["dir"] == "recv" and connection in {None, who} and _messages(text):
            open_now[who].append(text)
    assert not open_now, "a connection without an end"
    return [texts for texts in found if texts]


def _messages(text: str) -> list[dict[str, Any]]:
    """Messages of a frame that carries events; none where it carries anything else."""
    found = json.loads(text)
    messages = found if isinstance(found, list) else [found]
    return [
        message
        for message in messages
        if message["type"] == "event" and "event_type" in message["event"]
    ]

"""Frames of the WebSocket, broken: recorded ones, fresh ones, and lists of them."""

import random
from collections.abc import Iterator
from typing import Final

from common.errors import FatalError, HomeAssistantUnavailable, MalformedEvent
from common.event import LIVE, Event, event_id
from ingest.parse import parse
from ingest.protocol import Captured, Conversation
from tests.fakes.recordings import VERSIONS, event_texts, frames
from tests.fuzz.mutation import Mutator
from tests.fuzz.report import Report, in_time
from tests.fuzz.through import bury, way_of

HOME: Final = "home"
_SUBSCRIPTION: Final = 2
"""Id of the subscription to every event: the first command is about coalescing."""


async def tries(seed: int, count: int) -> Report:
    """Hand so many frames to conversations, and what they carry to all that follows."""
    dice = random.Random(seed)  # noqa: S311 - chance that can be repeated
    mutator = Mutator(dice)
    samples = list(_samples(dice))
    report = Report()
    for _ in range(count):
        frame = mutator.broken(dice.choice(samples))
        with report.trying(frame), in_time():
            _hear(frame, report, greeted=dice.random() < 0.9)
    return report


def _hear(frame: bytes, report: Report, *, greeted: bool) -> None:
    conversation = Conversation("token", ["*"])
    if greeted:
        conversation.receive(b'{"type":"auth_ok","ha_version":"2024.3.3"}')
        conversation.receive(b'{"id":2,"type":"result","success":true,"result":null}')
    try:
        happenings = conversation.receive(frame)
    except HomeAssistantUnavailable:
        report.end("conversation broken, connecting again")
        return
    except FatalError:  # a broken frame may say that the token or the event type is refused
        report.end("refused by Home Assistant")
        return
    for _ in range(conversation.ignored):
        report.end("counted as ignored")
    for happening in happenings:
        if not isinstance(happening, Captured):
            report.end("understood")
            continue
        try:
            event = parse(happening.event, HOME)
        except MalformedEvent as error:
            text = str(error.detail["json"]).encode()
            likeness = Event(event_id(HOME, "x", "", ""), "unreadable", "", "", LIVE, HOME, text)
            report.end(bury([b"data", likeness.data], error))
        else:
            report.end(way_of(event))


def _samples(dice: random.Random) -> Iterator[bytes]:
    """Frames that are whole: of events, of lists of them, and whatever else was recorded."""
    for version in VERSIONS:
        texts = [text for text in event_texts(version) if len(text) < 10_000]
        messages = [b'{"id":%d,"type":"event","event":%s}' % (_SUBSCRIPTION, t) for t in texts]
        yield from dice.sample(messages, min(300, len(messages)))
        for _ in range(100 if messages else 0):
            yield b"[" + b",".join(dice.choices(messages, k=dice.randint(2, 5))) + b"]"
        for name in ("a_auth_states_registries", "e_errors"):
            for frame in frames(version, name):
                text = str(frame.get("text", ""))
                if frame.get("dir") == "recv" and len(text) < 10_000:
                    yield text.encode(errors="surrogatepass")

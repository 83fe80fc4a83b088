"""Real traffic of real Home Assistants, as `tests/recordings/README.md` describes it."""

import gzip
from collections.abc import Iterator
from pathlib import Path

import msgspec

FOLDER = Path(__file__).resolve().parents[1] / "recordings"
VERSIONS = ("2024.3.3", "2026.2.3")
"""Versions of Home Assistant of which there are recordings."""

NOT_PLAIN_EVENTS = "history"
"""Connection whose event messages carry history, not events."""


class _Message(msgspec.Struct):
    type: str = ""
    event: msgspec.Raw = msgspec.Raw(b"null")


_messages = msgspec.json.Decoder(_Message | list[_Message])


def names(version: str) -> list[str]:
    """Names of one version's recordings, e.g. `b_events_plain`."""
    return sorted(path.name.removesuffix(".jsonl.gz") for path in (FOLDER / version).iterdir())


def frames(version: str, name: str) -> Iterator[dict[str, object]]:
    """Each line of a recording as it was taken: `t`, `conn`, `dir`, `text` and more."""
    with gzip.open(FOLDER / version / f"{name}.jsonl.gz", "rb") as lines:
        for line in lines:
            yield msgspec.json.decode(line)


def event_texts(version: str, name: str | None = None) -> Iterator[bytes]:
    """Each distinct event object of one recording, or of all, as JSON just as it was sent."""
    seen: set[bytes] = set()
    for recording in [name] if name else names(version):
        for frame in frames(version, recording):
            if frame.get("dir") != "recv" or frame.get("conn") == NOT_PLAIN_EVENTS:
                continue
            for text in _events_in(str(frame["text"])):
                if text not in seen:
                    seen.add(text)
                    yield text


def events(version: str, name: str | None = None) -> Iterator[dict[str, object]]:
    """Each distinct event object of one recording, or of all, decoded."""
    for text in event_texts(version, name):
        yield msgspec.json.decode(text)


def _events_in(text: str) -> Iterator[bytes]:
    try:
        found = _messages.decode(text)
    except msgspec.DecodeError:  # some recorded frames are rubbish on purpose
        return
    for message in found if isinstance(found, list) else [found]:
        event = bytes(message.event)
        if message.type == "event" and b'"event_type"' in event:
            yield event

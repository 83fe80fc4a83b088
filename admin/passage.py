"""Passage: an entry that passes on a stream, ready to be sent to everyone who watches."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from common.bus.entry import Position, number, position_of
from common.bus.stream import Entry

START: Final[Position] = (0, 0)
"""Before the first entry of any stream."""

LARGEST_DATA: Final = 32_768
"""Characters of `data` beyond which it is left out; the entry itself still has it."""

DEEPEST: Final = 100
"""Levels of JSON beyond which `data` is sent as text: browsers and pydantic have their limits."""


class Cause(msgspec.Struct, frozen=True):
    """Why an event lies among the dead letters."""

    stage: str
    reason: str
    error: str
    fingerprint: str


class _Told(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a browser is told; the same names as in `GET /events/recent`."""

    stream: str
    entry_id: str
    id: str
    type: str
    entity_id: str
    time: str
    source: str
    home: str
    data: Any
    replays: int = 0
    cut: bool = False
    dead: Cause | None = None


class Passage(msgspec.Struct, frozen=True):
    """An entry, ready to be sent.

    Attributes:
        position: Its entry id.
        entity_id: For those who watch one entity; empty where there is none.
        json: What is told about it, in one line.
    """

    position: Position
    entity_id: str
    json: bytes


def passage_of(stream: str, entry: Entry) -> Passage:
    """Make ready an entry, of whatever stands there."""
    fields = entry.fields
    data = fields.get("data", "")
    is_cut = len(data) > LARGEST_DATA
    told = _Told(
        stream=stream,
        entry_id=entry.entry_id,
        id=fields.get("id", ""),
        type=fields.get("type", ""),
        entity_id=fields.get("entity_id", ""),
        time=fields.get("time", ""),
        source=fields.get("source", ""),
        home=fields.get("home", ""),
        data=None if is_cut else as_json(data),
        replays=number(fields.get("replays")),
        cut=is_cut,
        dead=_cause_of(fields) if stream == "dead" else None,
    )
    return Passage(position_of(entry.entry_id), told.entity_id, msgspec.json.encode(told))


def entry_id_of(position: Position) -> str:
    """The entry id that these numbers are."""
    return f"{position[0]}-{position[1]}"


def as_json(text: str) -> Any:  # noqa: ANN401 - JSON of any shape
    """The JSON that a text is; the text where it is none, or too deep to be sent on."""
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        return text
    return value if _is_flat(value, DEEPEST) else text


def _cause_of(fields: Mapping[str, str]) -> Cause:
    return Cause(
        stage=fields.get("dead_stage", ""),
        reason=fields.get("dead_reason", ""),
        error=fields.get("dead_error", "")[:LARGEST_DATA],
        fingerprint=fields.get("dead_fingerprint", ""),
    )


def _is_flat(value: object, levels: int) -> bool:
    if isinstance(value, dict):
        value = list(value.values())
    if not isinstance(value, list):
        return True
    return levels > 0 and all(_is_flat(item, levels - 1) for item in value)

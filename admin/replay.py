"""Putting a dead letter back, with another `data` if it makes sense there."""

from collections.abc import Mapping
from typing import Any

from admin.hand_made import json_of
from common import enriched
from common.bus import STORE, DeadLetters
from common.errors import MalformedEvent
from common.secret import without_secrets


async def replay_edited(
    letters: DeadLetters, letter_id: str, data: Mapping[str, Any] | None
) -> tuple[str, str]:
    """Put a letter back where it fell, once; return (stream key, entry id).

    Args:
        letters: Where it is.
        letter_id: Its entry id.
        data: Instead of the event's own `data`; None: as it is.

    Raises:
        MalformedEvent: When the data cannot be what the stage takes.
        DeadLetterNotFound: When it was replayed, purged, or never existed.
        BusUnavailable: When Redis does not answer, or is full.
    """
    if data is None:
        return await letters.replay(letter_id)
    written = without_secrets(json_of(data), str(data.get("event_type", "")))
    if (await letters.get(letter_id)).stage == STORE:
        enriched.decode(written)
    elif not isinstance(data.get("event_type"), str):
        raise MalformedEvent("data.event_type: Home Assistant's event object has one, as a text")
    return await letters.replay(letter_id, written.decode())

"""Putting a dead letter back, with another `data` if it makes sense there."""

from collections.abc import Mapping
from typing import Any

from admin.hand_made import json_of
from common import enriched
from common.bus import STORE, DeadLetter, DeadLetters, Deed, Who
from common.errors import LetterExpired, MalformedEvent
from common.secret import without_secrets


async def replay_one(  # noqa: PLR0913 - one for each thing that may be said of it
    letters: DeadLetters,
    letter_id: str,
    data: Mapping[str, Any] | None,
    *,
    who: Who,
    at: str,
    force: bool = False,
) -> tuple[str, str]:
    """Put a letter back where it fell, once, and say so in the audit.

    Args:
        letters: Where it is.
        letter_id: Its entry id.
        data: Instead of the event's own `data`, which the audit keeps; None: as it is.
        who: Who asks for it.
        at: Now, ISO 8601 in UTC.
        force: Also when it is expired.

    Returns:
        Stream key and entry id.

    Raises:
        MalformedEvent: When the data cannot be what the stage takes.
        LetterExpired: When a replay as it is would only bury it again.
        DeadLetterNotFound: When it was replayed, purged, or never existed.
        BusUnavailable: When Redis does not answer, or is full.
    """
    letter = await letters.get(letter_id)
    written = None if data is None else data_for(letter, data).decode()
    if letter.is_expired and data is None and not force:
        raise LetterExpired(
            f"the dead letter {letter_id} is older than what the sink keeps: a replay would bury"
            " it again; make the retention longer and replay it with force"
        )
    what = {"id": letter_id, "event_id": letter.fields.get("id", ""), "reason": letter.reason}
    deed = Deed(
        who=who,
        at=at,
        action="replay" if data is None else "replay_edited",
        count=1,
        what={**what, "fingerprint": letter.fingerprint},
        original=None if data is None else letter.fields.get("data", ""),
    )
    return await letters.replay(letter_id, written, deed)


def data_for(letter: DeadLetter, data: Mapping[str, Any]) -> bytes:
    """Write edited data as the stage takes it to which the letter goes.

    Raises:
        MalformedEvent: When it cannot be that.
    """
    written = without_secrets(json_of(data), str(data.get("event_type", "")))
    if letter.stage == STORE:
        enriched.decode(written)
    elif not isinstance(data.get("event_type"), str):
        raise MalformedEvent("data.event_type: Home Assistant's event object has one, as a text")
    return written

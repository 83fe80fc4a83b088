"""Dead letters as lines of a file."""

from typing import Final

import msgspec

from admin.csv_cell import row
from common.bus import DeadLetter

CSV_HEAD: Final = row(
    ("id", "at", "stage", "reason", "fingerprint", "error", "entity_id", "time", "data")
).encode()
"""First line of a CSV file."""


def ndjson_of(letter: DeadLetter) -> bytes:
    """One line of JSON: the letter, its entry's own fields as they stand in Redis."""
    return msgspec.json.encode(letter) + b"\n"


def csv_of(letter: DeadLetter) -> bytes:
    """One line of CSV."""
    fields = letter.fields
    own = (fields.get("entity_id"), fields.get("time"), fields.get("data"))
    about = (letter.id, letter.at, letter.stage, letter.reason, letter.fingerprint, letter.error)
    return row((*about, *own)).encode("utf-8", "replace")

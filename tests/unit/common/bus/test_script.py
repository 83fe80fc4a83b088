"""What the scripts never do."""

import re
from pathlib import Path

HOUSE = Path(__file__).parents[4]
ROOMS = ("ingest", "enrich", "store", "admin", "common")


def test_no_stream_of_events_is_cut_off_at_a_length():
    """Only the audit is: a length says nothing about whether an entry was read."""
    sources = {
        path.relative_to(HOUSE).as_posix(): path.read_text("utf-8")
        for room in ROOMS
        for path in (HOUSE / room).rglob("*")
        if path.suffix in {".py", ".lua"}
    }
    assert not [
        path
        for path, text in sources.items()
        for found in re.finditer("""["']MAXLEN["']""", text, re.IGNORECASE)
        if "audit" not in text[max(0, found.start() - 300) : found.end() + 300]
    ]

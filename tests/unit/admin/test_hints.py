"""What to do about dead letters."""

import re
from pathlib import Path

from admin.hints import HINTS, UNKNOWN, hint


def test_each_reason_has_its_hint():
    """Every code that the code of habus buries with says what a person can do."""
    house = Path(__file__).parents[3]
    text = "".join(
        path.read_text()
        for room in ("common", "enrich", "store")
        for path in (house / room).rglob("*.py")
    )
    codes = set(re.findall(r'\breason(?::\s*str)? = "([a-z_]+)"', text)) - {"poison"}
    assert {"malformed_event", "enrich_failed", "point_rejected", "delivery_limit"} <= codes
    assert codes <= set(HINTS)
    for code in codes:
        assert hint(code) == HINTS[code]


def test_another_reason_has_a_hint_too():
    """A code that nobody knows is answered with what always helps."""
    assert hint("of another version") == UNKNOWN

"""What the scripts never do."""

import re
from pathlib import Path

HOUSE = Path(__file__).parents[4]
SCRIPTS = sorted((HOUSE / "common/bus/scripts").glob("*.lua"))


def names_of_keys(script):
    """Names of the keys in the order in which a script's head lists them."""
    [said] = re.findall(r"^-- KEYS: (.+)$", script, re.MULTILINE)
    return [name.strip() for name in said.split(",")]


def test_no_stream_of_events_is_cut_off_at_a_length():
    """Only the audit is: a length says nothing about whether an entry was read."""
    cut = []
    for path in SCRIPTS:
        text = path.read_text("utf-8")
        for before in re.findall(r"""([^,()]+), *["']MAXLEN["']""", text, re.IGNORECASE):
            number = re.fullmatch(r"\s*KEYS\[(\d)\]", before)
            cut.append(names_of_keys(text)[int(number[1]) - 1] if number else before)
        assert len(re.findall("MAXLEN", text, re.IGNORECASE)) <= len(cut), path
    assert set(cut) <= {"audit"}


def test_no_command_cuts_off_a_stream_at_a_length():
    """Python never does it but for the audit."""
    for room in ("ingest", "enrich", "store", "admin", "common"):
        for path in (HOUSE / room).rglob("*.py"):
            if path.name != "audit.py":
                assert not re.search(r"""["']MAXLEN["']""", path.read_text("utf-8")), path

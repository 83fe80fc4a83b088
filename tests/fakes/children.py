"""The processes that a test started and did not end."""

import os
from pathlib import Path


def children() -> dict[int, str]:
    """Process ids of our living children, and their command lines; empty without /proc."""
    found: dict[int, str] = {}
    for listing in Path(f"/proc/{os.getpid()}/task").glob("*/children"):
        for pid in map(int, _text(listing).split()):
            state = _text(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()
            if state and state[0] != "Z":
                found[pid] = _text(Path(f"/proc/{pid}/cmdline")).replace("\0", " ").strip()
    return found


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:  # the process, or the thread, is gone
        return ""

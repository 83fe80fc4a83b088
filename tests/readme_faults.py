"""Make the README's table of faults anew, from the record of a run of `make faults`.

Usage: python -m tests.readme_faults README.md .cache/faults.json
"""

import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

_TABLE = re.compile(r"(<!-- faults:[^>]*-->\n).*?(<!-- /faults -->)", re.DOTALL)

KINDS = {
    "test_processes": "processes killed, hung, stopped",
    "test_redis": "Redis killed, emptied, restarted",
    "test_disk": "disks full, broken, slow; files torn",
    "test_network": "network slow, silent, cut",
    "test_sink": "InfluxDB away, slow, refusing, lying",
    "test_poison": "events that kill, hang or are refused",
    "test_home": "Home Assistant restarted, silent, talking rubbish",
    "test_outsiders": "streams meddled with by others",
    "test_restarts": "restarts, backups, several faults at once",
    "test_letters": "replays of dead letters",
    "test_admin_under_attack": "admin under attack",
    "test_many_letters": "many dead letters at once",
}
"""File of the tests → what happens there."""


def table(record: Mapping[str, Any]) -> str:
    """Return the run in Markdown: a row for each kind of fault, and the sum."""
    faults = record["faults"]
    kinds = [kind for kind in KINDS if any(fault["kind"] == kind for fault in faults)]
    rows = [_row(KINDS[kind], [f for f in faults if f["kind"] == kind]) for kind in kinds]
    head = ("what happens", "survived of tried", "events sent", "lost", "stored twice")
    more = ("innocents buried", "written again", "recovery, s: median / max")
    lines = [[*head, *more], ["---", *["---:"] * 7], *rows, _row("**all**", faults)]
    numbers = {re.match(r"F\d+", fault["id"])[0] for fault in faults}  # type: ignore[index]
    said = (
        f"Run of {record['at']}, commit `{record['commit']}`, `FAULT_SEED={record['seed']}`: "
        f"{len(faults)} faults in {len(numbers)} classes."
    )
    return "\n".join([said, "", *("| " + " | ".join(cells) + " |" for cells in lines)])


def _row(name: str, faults: Sequence[Mapping[str, Any]]) -> list[str]:
    recoveries = [fault["recovery_s"] for fault in faults if fault["survived"]]
    spread = f"{median(recoveries):.1f} / {max(recoveries):.1f}" if recoveries else "–"
    sums = ("sent", "lost", "stored_twice", "buried_wrongly", "repeated")
    counts = [f"{sum(fault[key] for fault in faults):,}" for key in sums]
    survived = sum(fault["survived"] for fault in faults)
    return [name, f"{survived} of {len(faults)}", *counts, spread]


def renewed(readme: str, record: Mapping[str, Any]) -> str:
    """Return the README with the table of this run.

    Raises:
        ValueError: When the two comments around the table are not there once.
    """
    parts = _TABLE.split(readme)
    if len(parts) != 4:
        raise ValueError("the README has no one place for the table of faults")
    before, begin, end, after = parts
    return f"{before}{begin}\n{table(record)}\n\n{end}{after}"


def main() -> int:
    """Write the file that is named first, from the record that is named second."""
    path, record = map(Path, sys.argv[1:3])
    run = json.loads(record.read_text(encoding="utf-8"))
    path.write_text(renewed(path.read_text(encoding="utf-8"), run), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""`habus ledger`."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from admin.cli import show
from admin.cli.at_desk import with_bus
from admin.config import Settings
from admin.gaps import read_gaps
from admin.health import missed
from common.bus import Bus
from common.ledger import Ledger, read_ledger

MEANINGS = {
    "captured": "came: live, from history, from snapshots, handed in",
    "redelivered": "come again, or were never counted: somebody meddled with a stream",
    "filtered": "left out by a rule of yours",
    "duplicates": "came a second time, dropped at the door",
    "stored": "written to the sink; what was handed in twice, twice",
    "dead": "stand in the dead letters now",
    "purged": "deleted from the dead letters by a person",
    "lost": "taken off the bus by somebody else",
    "in_flight": "on their way",
    "unaccounted": "what the sum misses: must be 0",
    "enriched": "forwarded by enrich",
    "buried": "were ever buried",
    "replayed": "were ever put back from the dead letters",
}
"""Number of the ledger → what it counts; the first ten are the sum."""

BAD = {"lost", "redelivered", "unaccounted"}
"""Numbers that must be 0."""


def ledger(*, as_json: bool) -> int:
    """Print where every event is, and the gaps; return 1 when it missed some within a day."""

    async def ask(bus: Bus, _: Settings) -> tuple[Ledger, list[dict[str, Any]]]:
        return await read_ledger(bus), await read_gaps(bus)

    found, gaps = with_bus(ask)
    if as_json:
        counted = {**msgspec.to_builtins(found), "unaccounted": found.unaccounted}
        show.as_json({**counted, "gaps": gaps})
    else:
        print_table(found)
        print_gaps(gaps)
    return 1 if missed(found, datetime.now(UTC)) else 0


def print_table(found: Ledger) -> None:
    """Print the ledger as a table."""
    rows = (
        (name.replace("_", " "), show.number(getattr(found, name)), meaning)
        for name, meaning in MEANINGS.items()
    )
    bad = {name for name in BAD if getattr(found, name)}
    show.table(("events", "count#", "which"), rows, "", lambda row: row[0] in bad)


def print_gaps(gaps: list[dict[str, Any]]) -> None:
    """Print the times of which events are missing; nothing where there is none."""
    if gaps:
        show.blank()
        show.table(("missing from", "to", "why", "entities"), map(_row_of_gap, gaps), "")


def _row_of_gap(gap: dict[str, Any]) -> Sequence[object]:
    entities = gap.get("entities")
    whose = ", ".join(map(str, entities)) if isinstance(entities, list) else entities
    return gap.get("from"), gap.get("to"), gap.get("reason"), whose

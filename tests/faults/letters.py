"""Dead letters in any number, counted as a worker would."""

import json
from itertools import chain

from common.bus import Bus

_DATA = json.dumps({"event_type": "x", "data": {"text": "x" * 400}})


async def fall(
    bus: Bus, count: int, *, first: int = 0, entity_id: str = "", stage: str = "enrich"
) -> None:
    """Add letters of 20 causes and 500 entities, or of one.

    Args:
        bus: Where they fall.
        count: How many.
        first: Number of the first; its event is `event-<number>`.
        entity_id: Of all of them.
        stage: Where they fell.
    """
    for start in range(first, first + count, 1000):
        letters = []
        for number in range(start, min(start + 1000, first + count)):
            fields = {
                "v": "1",
                "id": f"event-{number}",
                "type": "unreadable",
                "entity_id": entity_id or f"sensor.n{number % 500}",
                "time": "2026-11-20T15:44:33.435789+00:00",
                "data": _DATA,
                "dead_stage": stage,
                "dead_reason": "seeded",
                "dead_error": f"no {number % 20}",
                "dead_fingerprint": f"f{number % 20}",
                "dead_at": "2026-11-20T15:44:33.435789+00:00",
            }
            letters.append(("XADD", bus.keys.dead, "*", *chain(*fields.items())))
        counted = [
            ("HINCRBY", bus.keys.ledger, counter, len(letters))
            for counter in ("captured", "dead", "buried")
        ]
        await bus.commands(*letters, *counted, atomic=True)

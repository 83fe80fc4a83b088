"""Times of which events are missing, as ingest wrote them down."""

import json
from typing import Any

from common.bus import Bus


async def read_gaps(bus: Bus) -> list[dict[str, Any]]:
    """Read the gaps of `ha:watermark`: those being fetched from history (`open`), and for good.

    Raises:
        BusUnavailable: When Redis does not answer.
    """
    try:
        gaps = json.loads(await bus.read_field(bus.keys.watermark, "gaps") or b"[]")
    except ValueError:  # somebody else wrote there
        return []
    return [gap for gap in gaps if isinstance(gap, dict)] if isinstance(gaps, list) else []

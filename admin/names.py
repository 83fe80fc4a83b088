"""Names that people type for entities."""

import re
from typing import Final

_NAME: Final = re.compile(r"[a-z0-9_*?\[\]!]+\.?[a-z0-9_*?\[\]!]*")


def is_name(text: str) -> bool:
    """Whether this can name entities: an entity id, or a pattern such as `sensor.*_power`."""
    lowered = text.lower()
    return bool(_NAME.fullmatch(lowered)) and ("." in lowered or "*" in lowered)

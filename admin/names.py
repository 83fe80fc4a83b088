"""Names that people type for entities."""

import re
from typing import Final

_PART: Final = r"[A-Za-z0-9_*?\[\]!]"
NAME: Final = rf"^({_PART}+\.{_PART}*|{_PART}*\*{_PART}*)$"
"""Regular expression of what can name entities; with a dot, or with an asterisk for it."""

_name: Final = re.compile(NAME.removeprefix("^").removesuffix("$"))


def is_name(text: str) -> bool:
    """Whether this can name entities: an entity id, or a pattern such as `sensor.*_power`."""
    return _name.fullmatch(text) is not None

"""Value: the state as a number, where it is one."""

from math import isfinite

from common.enriched import Enriched
from common.registry import Registry
from enrich.raw import Captured

NUMBERS = {
    "on": 1.0,
    "off": 0.0,
    "open": 1.0,
    "closed": 0.0,
    "home": 1.0,
    "not_home": 0.0,
    "locked": 1.0,
    "unlocked": 0.0,
    "above_horizon": 1.0,
    "below_horizon": 0.0,
    "true": 1.0,
    "True": 1.0,
    "false": 0.0,
    "False": 0.0,
}
"""States with exactly one opposite. `True` and `False` are what templates and REST sensors give.

What lies between opposites (`opening`, `jammed`, another zone than home) has no value, and
neither have words that mean one thing here and another there (`ok`, `clear`, `detected`, `yes`).
"""

UNLATCHED = "open"
"""State of a lock that is pulled open: beyond `unlocked`, so not the 1.0 of `locked`.

Source: https://developers.home-assistant.io/blog/2024/05/10/lock-supports-open-state
"""


def read_value(captured: Captured, _: Registry, enriched: Enriched) -> None:
    """Set `state`, and `value` where the state is a number or has one opposite.

    A number too large for a float, NaN and the infinities give no value, but the quality
    `not_finite`.
    """
    if captured.new is None:
        return
    text = captured.new.state
    enriched.state = text or None
    if text == UNLATCHED and enriched.domain == "lock":
        return
    value = NUMBERS.get(text)
    if value is None:
        value = number(text)
    if value is None:
        return
    if isfinite(value):
        enriched.value = value
    else:
        enriched.quality += ("not_finite",)


def number(text: str) -> float | None:
    """Read a plain decimal number: `21.50`, `-3`, `.5`, `1e5`, also ` 7 `; else None.

    Blanks around it do not count. Python would also take `1_000` and digits of other scripts;
    here they are text, because whoever wrote them may have meant an identifier or a name.
    """
    try:
        value = float(text)
    except ValueError:
        return None
    return value if text.isascii() and "_" not in text else None

"""A cell of a CSV file that no spreadsheet takes for a formula."""

from collections.abc import Iterable
from typing import Final

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n")
"""What a formula may begin with.

Source: https://owasp.org/www-community/attacks/CSV_Injection
"""


def cell(value: object) -> str:
    """Return the text of a cell, quoted; what looks like a formula begins with an apostrophe."""
    text = "" if value is None else str(value)
    if text.lstrip(" ").startswith(_FORMULA) and not _is_number(text):
        text = "'" + text
    return '"' + text.replace('"', '""') + '"'


def row(values: Iterable[object]) -> str:
    """Return one line of a CSV file, with its end."""
    return ",".join(map(cell, values)) + "\r\n"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return text == text.strip()

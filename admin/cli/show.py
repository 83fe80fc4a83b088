"""What commands print: a table for people, JSON for programs."""

import io
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import msgspec

from common.event import Event
from common.redaction import Redaction

_WIDE: Final = 10_000
"""Columns where no terminal says how many there are: nothing is cut off in a pipe."""

WIDEST_CELL: Final = 300
"""Characters of a table's cell; --json shows all of it."""

_redaction = Redaction()


def as_json(value: object) -> None:
    """Print a value as JSON."""
    sys.stdout.write(json.dumps(msgspec.to_builtins(value), ensure_ascii=False, indent=2) + "\n")


def as_json_line(value: object) -> None:
    """Print a value as one line of JSON, at once."""
    sys.stdout.write(json.dumps(msgspec.to_builtins(value), ensure_ascii=False) + "\n")
    sys.stdout.flush()


def pretty(value: object) -> None:
    """Print a value as JSON for people: nothing in it can do anything to the terminal."""
    text = json.dumps(msgspec.to_builtins(value), ensure_ascii=False, indent=2)
    for one in text.splitlines():
        line(one)


def event(of: Event) -> dict[str, Any]:
    """An event as a JSON object, its `data` as JSON where it is any."""
    fields = {name: getattr(of, name) for name in Event.__struct_fields__}
    try:
        return fields | {"data": json.loads(of.data)}
    except (ValueError, RecursionError):
        return fields | {"data": of.data.decode("utf-8", "replace")}


def table(
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    empty: str,
    is_bad: Callable[[Sequence[object]], bool] = lambda _: False,
) -> None:
    """Print a table, or the sentence `empty` when there is no row.

    Columns whose name ends in `#` are numbers, and stand to the right. In a terminal a row that
    is bad is red.
    """
    from rich.console import Console  # noqa: PLC0415 - slow to load, and not for --json
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    drawn = Table(box=None, pad_edge=False, header_style="bold")
    for name in columns:
        justify: Any = "right" if name.endswith("#") else "left"
        drawn.add_column(name.removesuffix("#"), justify=justify, overflow="fold")
    for row in rows:
        style = "bold red" if is_bad(row) else ""
        drawn.add_row(*(Text(_short(clean(cell))) for cell in row), style=style)
    if not drawn.row_count:
        line(empty)
        return
    if sys.stdout.isatty():
        Console().print(drawn)
        return
    console = Console(file=io.StringIO(), width=_WIDE, color_system=None)
    with console.capture() as printed:
        console.print(drawn)
    for row in printed.get().splitlines():
        sys.stdout.write(row.rstrip() + "\n")


def _short(cell: str) -> str:
    return cell if len(cell) <= WIDEST_CELL else f"{cell[: WIDEST_CELL - 1]}…"


def line(text: str) -> None:
    """Print one line, at once."""
    sys.stdout.write(clean(text) + "\n")
    sys.stdout.flush()


def blank() -> None:
    """Print an empty line."""
    sys.stdout.write("\n")


def clean(value: object) -> str:
    """Text that can do nothing to a terminal, and shows no secret; a dash for nothing."""
    return "–" if value is None or value == "" else _redaction.text(str(value))


def number(value: float | None, unit: str = "") -> str:
    """A number for people: thousands apart, one digit after the point."""
    if value is None:
        return "n/a"
    return (f"{value:,}" if isinstance(value, int) else f"{value:,.1f}") + unit


def memory(size: int | None) -> str:
    """Bytes for people."""
    if size is None:
        return "n/a"
    return f"{size / 2**10:,.1f} kB" if size < 2**20 else f"{size / 2**20:,.1f} MB"

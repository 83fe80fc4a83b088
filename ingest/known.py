"""Which events stand in the spool already; it is handed the means to ask its file."""

from collections.abc import Callable, Iterable
from typing import Any

from common.event import Event
from ingest.batch import ids_in, plain

Key = tuple[str, str]
"""Time and id of an event."""

Ask = Callable[..., list[Any]]
"""Takes a question in SQL and its values, and returns the rows that answer it."""


def key_of(event: Event) -> Key:
    """Time and id of an event."""
    return event.time, event.id


def late_ones(keys: Iterable[Key], newest: str) -> list[Key]:
    """Keys with a time that is not above `newest` and all before them.

    Only these can be known already; the others come in order, as live events nearly always do.
    """
    late: list[Key] = []
    for key in keys:
        if key[0] > newest:
            newest = key[0]
        else:
            late.append(key)
    return late


def standing(ask: Ask, keys: Iterable[Key]) -> set[Key]:
    """Return which of the keys stand in the file.

    Those that came late stand in table `once`; any other in the first batch that reaches its time.

    Raises:
        msgspec.MsgspecError: When a batch is not what was written.
    """
    found: set[Key] = set()
    last, reach, inside = -1, "", set[str]()
    for key in sorted(keys):
        if ask("SELECT 1 FROM once WHERE time = ? AND id = ?", *key):
            found.add(key)
            continue
        if key[0] > reach:
            last, reach, inside = _first_reaching(ask, key[0], last)
        if key[1] in inside:
            found.add(key)
    return found


def _first_reaching(ask: Ask, time: str, after: int) -> tuple[int, str, set[str]]:
    """Number, reach and ids of the first batch after a number that reaches a time.

    Where none does, as in a file of an older habus, the ids are none.
    """
    [(top,)] = ask("SELECT coalesce(max(last), 0) FROM batch")
    found, below, middle = 0, after, after
    while below < top:  # the next batch is tried first: who asks for many, asks in order
        [(last, reached)] = ask(
            "SELECT last, reach FROM batch WHERE last > ? ORDER BY last LIMIT 1", middle
        )
        if last > top:
            top = middle
        elif plain(reached or "", str) < time:
            below = last
        else:
            found, reach, top = last, reached, middle
        middle = (below + top) // 2
    if not found:
        return after, time, set()
    [(ids, events)] = ask(
        "SELECT ids, CASE WHEN ids IS NULL THEN events END FROM batch WHERE last = ?", found
    )
    return found, reach, ids_in(ids, events)

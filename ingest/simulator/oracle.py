"""The oracle: what the simulated home did, in a file, written before any socket hears of it.

One line a state change, fields separated by tabs:
`n`, microseconds since 1970, entity id, `sent` or `history`, state as JSON (`null`: removed).
A line that begins with `!` says that changes which were to be sent never reached the socket:
`!`, first n, last n. Numbers between them that were not to be sent are not touched by it.
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import msgspec

LINE = b"%d\t%d\t%b\t%b\t%b\n"
"""n, microseconds, entity id, `sent` or `history`, state as JSON."""

UNSENT = b"!\t%d\t%d\n"
"""First and last n that were taken out of a socket's queue."""

SENT, HISTORY = b"sent", b"history"


class Change(msgspec.Struct, frozen=True):
    """A state change that happened.

    Attributes:
        n: Its number; dense from 1.
        us: Its time: microseconds since 1970.
        entity_id: Whose.
        state: The new state; None when the entity was removed.
        sent: Whether it was written to a connected socket; else it only happened.
    """

    n: int
    us: int
    entity_id: str
    state: str | None
    sent: bool


class Oracle:
    """The file, open for writing.

    Args:
        path: Appended to when it exists.
        fsync: Whether each batch is forced to the disk.
    """

    def __init__(self, path: str | Path, *, fsync: bool = False) -> None:
        self._file: BinaryIO = Path(path).open("ab", buffering=0)  # noqa: SIM115 - closed by close
        self._fsync = fsync

    def write(self, lines: Sequence[bytes]) -> None:
        """Append lines in one write; they survive a kill of the process (not of the machine)."""
        self._file.write(b"".join(lines))
        if self._fsync:
            os.fdatasync(self._file.fileno())

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def changes_in(content: bytes) -> Iterator[Change]:
    """The changes that stand in an oracle's content, in order; a torn last line is left out."""
    lines = content[: content.rfind(b"\n") + 1].splitlines()
    unsent = [
        range(int(first), int(last) + 1)
        for first, last in (line.split(b"\t")[1:] for line in lines if line.startswith(b"!"))
    ]
    for line in lines:
        if line.startswith(b"!"):
            continue
        n, us, entity_id, fate, state = line.split(b"\t", 4)
        number = int(n)
        yield Change(
            number, int(us), entity_id.decode(), msgspec.json.decode(state, type=str | None),
            fate == SENT and not any(number in numbers for numbers in unsent),
        )  # fmt: skip


def read_oracle(path: str | Path) -> list[Change]:
    """Every change of an oracle's file; what is being written just now may be missing."""
    return list(changes_in(Path(path).read_bytes()))

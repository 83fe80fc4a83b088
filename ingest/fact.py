"""Facts in the spool's file, each with a checksum: SQLite reads a flipped bit without an error."""

from collections.abc import Iterable
from contextlib import suppress
from typing import Final
from zlib import crc32

import msgspec

Fact = tuple[str, str, int]
"""Name, value, checksum of both."""

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS fact (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL,
    checksum INTEGER -- CRC-32 of the name, a zero byte and the value, in UTF-8
) WITHOUT ROWID;
"""
"""Table of the spool's file."""

WIDEN: Final = "ALTER TABLE fact ADD COLUMN checksum INTEGER"
"""Makes the table of an older habus ours; its facts are to be noted anew."""

NOTE: Final = "INSERT OR REPLACE INTO fact (name, value, checksum) VALUES (?, ?, ?)"
"""Puts a fact into the file."""


def noted(name: str, value: str) -> Fact:
    """Return a fact as the file keeps it."""
    return name, value, crc32(f"{name}\0{value}".encode())


def facts_in(rows: Iterable[tuple[object, ...]]) -> dict[str, str]:
    """Return the value of each name.

    Raises:
        msgspec.DecodeError: When one is not what was noted.
    """
    facts: dict[str, str] = {}
    for row in rows:
        match row:
            case (str(name), str(value), int(checksum)) if checksum == noted(name, value)[2]:
                facts[name] = value
            case _:
                raise msgspec.DecodeError("the checksum of a fact is wrong")
    return facts


def readable_facts(rows: Iterable[tuple[object, ...]]) -> dict[str, str]:
    """Return those of a damaged file that are what was noted."""
    facts: dict[str, str] = {}
    for row in rows:
        with suppress(msgspec.DecodeError):
            facts |= facts_in([row])
    return facts

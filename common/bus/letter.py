"""A dead letter: the entry's own fields untouched, and beside them why it died."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from common.bus.entry import Field
from common.errors import PoisonError

PREFIX: Final = b"dead_"
"""First part of the name of every field that a burial adds."""

MAX_ERROR_CHARACTERS: Final = 2000
"""Longest `dead_error`; the rest is cut off."""

_VARYING: Final = re.compile(
    r"'[^']*'|\"[^\"]*\"|(?<= point ).+? at (?=\d{4}-)|[0-9a-f]{8,}|\d+(?:\.\d+)?", re.IGNORECASE
)
"""Names and numbers; InfluxDB does not quote the series of a point that is too old."""


class Burial(msgspec.Struct, frozen=True, kw_only=True):
    """Where and when an entry died.

    Attributes:
        stage: `ingest`, `enrich` or `store`.
        origin: Key of the stream it stood in.
        origin_id: Its entry id there.
        deliveries: How often it was delivered, this time included.
        worker: Name of the worker that buried it.
        at: ISO 8601 in UTC.
    """

    stage: str
    origin: str
    origin_id: str
    deliveries: int
    worker: str
    at: str


def letter(flat: Sequence[Field], error: PoisonError, burial: Burial) -> list[Field]:
    """Flat fields of the dead letter of an entry, from the entry's own flat fields."""
    message = str(error)[:MAX_ERROR_CHARACTERS]
    causes: list[Field] = [
        *(b"dead_stage", burial.stage),
        *(b"dead_reason", error.reason),
        *(b"dead_error", message),
        *(b"dead_detail", msgspec.json.encode(error.detail, enc_hook=str)),
        *(b"dead_origin", burial.origin),
        *(b"dead_origin_id", burial.origin_id),
        *(b"dead_deliveries", burial.deliveries),
        *(b"dead_worker", burial.worker),
        *(b"dead_at", burial.at),
        *(b"dead_fingerprint", fingerprint(burial.stage, error)),
    ]
    return [*without_burial(flat), *causes]


def without_burial(flat: Sequence[Field]) -> list[Field]:
    """Flat fields of the entry that a dead letter was."""
    own: list[Field] = []
    for name, value in zip(flat[0::2], flat[1::2], strict=False):
        encoded = name.encode() if isinstance(name, str) else name
        if not (isinstance(encoded, bytes) and encoded.startswith(PREFIX)):
            own += (name, value)
    return own


def fingerprint(stage: str, error: PoisonError) -> str:
    """Twelve hex digits: the same for the same cause, whatever its numbers and names are."""
    words: Mapping[str, object] = error.detail
    cause = _VARYING.sub("?", str(error))
    text = "\0".join((stage, error.reason, str(words.get("step", "")), cause))
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:12]

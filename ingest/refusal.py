"""A refused access token is not tried again at once, though whoever starts us may do so."""

import hashlib
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from common.errors import AuthenticationFailed
from common.event import time_of

PATIENCE_S: Final = 600.0
"""Seconds in which a refused token is not tried again: Home Assistant may ban who insists.

Source: https://www.home-assistant.io/integrations/http/#ip_ban_enabled
"""


class _Refused(msgspec.Struct):
    token: str
    at: float
    message: str


class Refusal:
    """Remembers, in a file beside the spool, which token was refused and when.

    Args:
        spool: The spool.
        token: The access token; only its hash is kept.
    """

    def __init__(self, spool: Path, token: str) -> None:
        self._path = spool.with_name(spool.name + ".refused")
        self._token = hashlib.sha256(token.encode()).hexdigest()

    def check(self, now: float) -> None:
        """Return when the token may be tried.

        Args:
            now: Seconds since 1970.

        Raises:
            AuthenticationFailed: When it was refused a short time ago.
        """
        try:
            refused = msgspec.json.decode(self._path.read_bytes(), type=_Refused)
        except (OSError, msgspec.DecodeError, UnicodeDecodeError):
            return
        if refused.token == self._token and 0 <= now - refused.at < PATIENCE_S:
            until = time_of(int((refused.at + PATIENCE_S) * 1_000_000))
            raise AuthenticationFailed(
                f"{refused.message}; this one is not tried again before {until}, "
                f"unless you delete {self._path}"
            )

    def note(self, error: AuthenticationFailed, now: float) -> None:
        """Keep that the token was refused; where the disk refuses, that is not kept."""
        refused = _Refused(self._token, now, str(error))
        with suppress(OSError):
            self._path.write_bytes(msgspec.json.encode(refused))

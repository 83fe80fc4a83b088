"""Frames between the socket's reader, which never waits, and those who understand them."""

import asyncio
from collections import deque
from typing import Final

from common.errors import HomeAssistantUnavailable

TAKEN_AT_ONCE_BYTES: Final = 1024 * 1024
"""Frames understood and committed together: with more, delivery would starve meanwhile."""


class Frames:
    """A queue of frames, bounded in bytes.

    Args:
        max_bytes: What it holds at most; a frame beyond it is not taken.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._frames: deque[bytes] = deque()
        self._changed = asyncio.Event()
        self._end: BaseException | None = None
        self._is_ended = False

    def put(self, frame: bytes) -> None:
        """Take a frame in.

        Raises:
            HomeAssistantUnavailable: When there is no room. Hang up: Home Assistant's history
                gives later what would be missed here.
        """
        if self._bytes + len(frame) > self._max_bytes and self._frames:
            message = (
                f"{self._bytes // 2**20} MiB wait for the spool: hanging up until they are on the "
                "disk; a faster disk, or INGEST_QUEUE_MB, helps"
            )
            raise HomeAssistantUnavailable(message)
        self._bytes += len(frame)
        self._frames.append(frame)
        self._changed.set()

    def end(self, error: BaseException | None = None) -> None:
        """Say that no frame follows: in order (None), or because of an error; the first counts."""
        if not self._is_ended:
            self._end, self._is_ended = error, True
        self._changed.set()

    async def take(self) -> deque[bytes]:
        """Return frames that wait, in order, at least one; none at the end.

        Raises:
            BaseException: What `end` was told, after the last frame.
        """
        while not self._frames and not self._is_ended:
            self._changed.clear()
            await self._changed.wait()
        if not self._frames and self._end is not None:
            raise self._end
        taken: deque[bytes] = deque()
        room = TAKEN_AT_ONCE_BYTES
        while self._frames and room > 0:
            taken.append(self._frames.popleft())
            room -= len(taken[-1])
        self._bytes -= TAKEN_AT_ONCE_BYTES - room
        return taken

    @property
    def is_pressing(self) -> bool:
        """Whether as much waits as is taken at once: there is no sense in letting more gather."""
        return self._bytes >= TAKEN_AT_ONCE_BYTES or self._is_ended

"""Answers that a client has already need not be sent again."""

import hashlib
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import Message, Scope, Send

LARGEST: Final = 4 * 1_048_576
"""Bytes of an answer beyond which nothing is compared."""


class Tagged:
    """Gives JSON that came in one piece an ETag, and answers 304 when the client has it.

    Args:
        scope: The request.
        send: Takes the answer.
    """

    def __init__(self, scope: Scope, send: Send) -> None:
        self._send = send
        self._known = Headers(scope=scope).get("if-none-match", "")
        self._asks = scope["method"] == "GET"
        self._start: Message | None = None

    async def __call__(self, message: Message) -> None:
        """Hand on a message of the answer, the start of some only with their body."""
        if message["type"] == "http.response.start" and self._is_json(message):
            self._start = message
            return
        start, self._start = self._start, None
        if start is not None:
            body: bytes = message.get("body", b"")
            if not message.get("more_body") and len(body) <= LARGEST:
                message = self._tag(start, body) or message
            await self._send(start)
        await self._send(message)

    def _is_json(self, start: Message) -> bool:
        if not self._asks or start["status"] != 200:  # noqa: PLR2004
            return False
        return Headers(raw=start["headers"]).get("content-type", "").startswith("application/json")

    def _tag(self, start: Message, body: bytes) -> Message | None:
        """Put the tag on the answer; return the empty body of a 304 where the client has it."""
        headers = MutableHeaders(raw=start["headers"])
        tag = f'W/"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
        headers["ETag"] = tag
        theirs = {one.strip().removeprefix("W/") for one in self._known.split(",")}
        if tag.removeprefix("W/") not in theirs and "*" not in theirs:
            return None
        start["status"] = 304
        del headers["content-length"]
        del headers["content-type"]
        return {"type": "http.response.body", "body": b"", "more_body": False}

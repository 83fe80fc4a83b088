"""Questions to Home Assistant's history, asked again and in smaller pieces when they fail."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import msgspec

from common.errors import MalformedEvent
from common.event import time_of
from common.logs import logger
from ingest import gap
from ingest.gap import Gap
from ingest.parse import HistoryRow, split_history
from ingest.protocol import Answer, Conversation

ANSWER_S: Final = 60.0
"""Seconds after which an answer is no longer waited for."""

RETRY_S: Final = 1.0
"""Seconds until a question that failed is asked again; they double."""

TRIES: Final = 4
"""How often a question is asked; only once while history fails altogether."""

POLL_S: Final = 2.0
"""Seconds between two looks whether Home Assistant has started."""

STARTING_S: Final = 180.0
"""Seconds in which that is waited for: until then there may be no history yet."""

COMMAND: Final = "history/history_during_period"
UNKNOWN_COMMAND: Final = "unknown_command"
INVALID_ENTITIES: Final = "invalid_entity_ids"

log = logger(__name__)


class NoHistory(Exception):
    """Home Assistant has no recorder."""


class Reply(msgspec.Struct):
    """What became of one slice of a group of entities.

    Attributes:
        rows: By entity, each in the order of time.
        failed: What was not answered.
        size_bytes: Of the largest answer.
        seconds: Of the slowest answer.
    """

    rows: list[dict[str, list[HistoryRow]]] = msgspec.field(default_factory=list)
    failed: list[Gap] = msgspec.field(default_factory=list)
    size_bytes: int = 0
    seconds: float = 0.0


class _Config(msgspec.Struct):
    state: str = "RUNNING"


_config = msgspec.json.Decoder(_Config | None)


class History:
    """Asks over one connection, one question at a time.

    Args:
        conversation: Whom to ask.

    Attributes:
        send: Sends what was asked; to be set before anything is.
    """

    send: Callable[[], Awaitable[None]]

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation
        self._waiting: dict[int, asyncio.Future[Answer]] = {}
        self._tries = TRIES

    def answered(self, answer: Answer) -> bool:
        """Take in an answer; False when it is not to a question from here."""
        waiting = self._waiting.get(answer.id)
        if waiting is not None and not waiting.done():
            waiting.set_result(answer)
        return waiting is not None

    async def started(self) -> bool:
        """Wait until Home Assistant runs; return whether it ran from the first.

        Raises:
            HomeAssistantUnavailable: When the connection ends.
        """
        begun = time.monotonic()
        looks = 0
        while time.monotonic() < begun + STARTING_S:
            if await self._is_running():
                break
            looks += 1
            await asyncio.sleep(POLL_S)
        return looks == 0

    async def ask(self, start: int, end: int | None, entities: Sequence[str]) -> Reply:
        """Ask for the rows of [start, end), or of all since `start`.

        Raises:
            NoHistory: When there is no such command.
            HomeAssistantUnavailable: When the connection ends.
        """
        reply = Reply()
        await self._ask(start, end, tuple(entities), self._tries, reply)
        if not reply.failed:
            self._tries = TRIES
        elif not reply.rows:
            self._tries = 1
        return reply

    async def has_row(self, entity_id: str, start: int, end: int) -> bool:
        """Whether the entity has any row in [start, end).

        Raises:
            NoHistory: When there is no such command.
            HomeAssistantUnavailable: When the connection ends.
        """
        reply = await self.ask(start, end, (entity_id,))
        return any(rows.get(entity_id) for rows in reply.rows)

    async def _ask(
        self, start: int, end: int | None, entities: tuple[str, ...], tries: int, reply: Reply
    ) -> None:
        for again in range(tries):
            began = time.monotonic()
            problem = await self._once(start, end, entities, reply)
            reply.seconds = max(reply.seconds, time.monotonic() - began)
            if problem is None:
                return
            if problem == INVALID_ENTITIES and len(entities) > 1:
                half = len(entities) // 2
                await self._ask(start, end, entities[:half], tries, reply)
                await self._ask(start, end, entities[half:], tries, reply)
                return
            if problem == INVALID_ENTITIES:
                break
            if problem == "" and end is not None and end - start >= 2 * gap.SHORTEST_SLICE:
                middle = (start + end) // 2  # perhaps it is too much for one answer
                await self._ask(start, middle, entities, tries - again - 1, reply)
                await self._ask(middle, end, entities, tries - again - 1, reply)
                return
            if again + 1 < tries:
                await asyncio.sleep(RETRY_S * 2**again)
            elif problem == UNKNOWN_COMMAND:
                raise NoHistory
        now = time.time_ns() // 1000
        reply.failed.append(Gap(start, now if end is None else end, gap.HISTORY_FAILED, entities))

    async def _once(
        self, start: int, end: int | None, entities: tuple[str, ...], reply: Reply
    ) -> str | None:
        """Ask once; None: it went well; else the code of the error, empty without an answer."""
        after, before = gap.bounds(start, end if end is not None else start)
        answer = await self._answer(
            COMMAND,
            start_time=after,
            **({} if end is None else {"end_time": before}),
            entity_ids=entities,
            significant_changes_only=False,
            minimal_response=False,
            no_attributes=False,
            include_start_time_state=False,
        )
        if answer is None:
            log.warning("History gives no answer", since=after, until=end and time_of(end))
            return ""
        if answer.error is not None:
            log.warning(
                "History refuses", since=after, error=f"{answer.error.code}: {answer.error.message}"
            )
            return answer.error.code
        result = answer.result or b""
        try:
            rows = split_history(result)
        except MalformedEvent as error:
            log.warning("History cannot be read", since=after, error=str(error))
            return "malformed"
        reply.rows.append(rows)
        reply.size_bytes = max(reply.size_bytes, len(result))
        return None

    async def _is_running(self) -> bool:
        answer = await self._answer("get_config")
        try:
            config = _config.decode((answer and answer.result) or b"null")
        except (msgspec.DecodeError, RecursionError, UnicodeError):
            config = None
        # A home that does not tell is taken as it is.
        return config is None or config.state == "RUNNING"

    async def _answer(self, command: str, **parameters: object) -> Answer | None:
        """Ask; None when no answer came in time."""
        number = self._conversation.ask(command, **parameters)
        self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            await self.send()
            async with asyncio.timeout(ANSWER_S):
                return await self._waiting[number]
        except TimeoutError:
            return None
        finally:
            del self._waiting[number]

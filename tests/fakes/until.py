"""Waiting for a condition instead of sleeping in hope."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable


async def until(
    condition: Callable[[], object] | Callable[[], Awaitable[object]],
    within_s: float = 10.0,
    what: str = "the condition",
) -> None:
    """Return as soon as the condition is true; it is asked every 10 ms.

    Args:
        condition: A function, or a coroutine function.
        within_s: Seconds until the test has failed.
        what: What is waited for, in words, for the failure's message.

    Raises:
        AssertionError: When it is still false after `within_s`.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within_s
    while not await _answer(condition):
        if loop.time() > deadline:
            raise AssertionError(f"{what} did not come true within {within_s} s")
        await asyncio.sleep(0.01)


async def _answer(condition: Callable[[], object]) -> object:
    answer = condition()
    return await answer if inspect.isawaitable(answer) else answer

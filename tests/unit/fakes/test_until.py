import asyncio

import pytest

from tests.fakes.until import until


async def test_returns_when_a_plain_condition_comes_true():
    """A condition that turns true while others run is seen."""
    happened = asyncio.Event()
    asyncio.get_running_loop().call_later(0.02, happened.set)
    await until(happened.is_set)
    assert happened.is_set()


async def test_awaits_an_asynchronous_condition():
    """What a coroutine function answers counts, not the coroutine itself."""
    answers = iter([False, False, True])

    async def condition():
        return next(answers)

    await until(condition)
    assert list(answers) == []


async def test_fails_with_words_when_the_time_is_over():
    """The failure names what was waited for."""
    with pytest.raises(AssertionError, match="the moon did not come true"):
        await until(lambda: False, within_s=0.02, what="the moon")

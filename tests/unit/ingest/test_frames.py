"""The queue between socket and spool."""

import asyncio

import pytest

from common.errors import HomeAssistantUnavailable
from ingest.frames import TAKEN_AT_ONCE_BYTES, Frames


async def test_all_that_waits_is_taken_at_once_in_order():
    """Frames gather while nobody takes them."""
    frames = Frames(100)
    for frame in (b"a", b"b", b"c"):
        frames.put(frame)
    assert list(await frames.take()) == [b"a", b"b", b"c"]


async def test_taking_waits_for_a_frame():
    """Who takes from an empty queue gets the next frame."""
    frames = Frames(100)
    taking = asyncio.create_task(frames.take())
    await asyncio.sleep(0)
    assert not taking.done()
    frames.put(b"a")
    assert list(await taking) == [b"a"]


async def test_a_full_queue_asks_to_hang_up():
    """A frame beyond the limit is not taken; those before it are kept, and room comes back."""
    frames = Frames(10)
    frames.put(b"12345678")
    with pytest.raises(HomeAssistantUnavailable, match="INGEST_QUEUE_MB"):
        frames.put(b"901")
    assert list(await frames.take()) == [b"12345678"]
    frames.put(b"901")
    assert list(await frames.take()) == [b"901"]


async def test_one_frame_may_be_larger_than_the_queue():
    """A frame that comes to an empty queue is taken, however large."""
    frames = Frames(10)
    frames.put(b"x" * 100)
    assert list(await frames.take()) == [b"x" * 100]


async def test_an_end_in_order_is_an_empty_list():
    """After the last frame nothing follows, whenever it is asked."""
    frames = Frames(10)
    frames.put(b"a")
    frames.end()
    assert list(await frames.take()) == [b"a"]
    assert list(await frames.take()) == []
    assert list(await frames.take()) == []


async def test_an_end_by_error_comes_after_the_last_frame():
    """What came before the connection broke is not lost."""
    frames = Frames(10)
    frames.put(b"a")
    frames.end(HomeAssistantUnavailable("gone"))
    assert list(await frames.take()) == [b"a"]
    with pytest.raises(HomeAssistantUnavailable, match="gone"):
        await frames.take()


async def test_an_end_wakes_who_waits():
    """Who waits for a frame hears of the end at once."""
    frames = Frames(10)
    taking = asyncio.create_task(frames.take())
    await asyncio.sleep(0)
    frames.end()
    assert list(await taking) == []


async def test_more_may_gather_until_there_is_enough_for_once():
    """It presses when as much waits as is taken at once, or when nothing more can come."""
    frames = Frames(10 * TAKEN_AT_ONCE_BYTES)
    frames.put(b"x" * (TAKEN_AT_ONCE_BYTES - 1))
    assert not frames.is_pressing
    frames.put(b"x")
    assert frames.is_pressing
    await frames.take()
    assert not frames.is_pressing
    frames.end()
    assert frames.is_pressing

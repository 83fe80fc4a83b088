"""How a worker starts, waits and ends."""

import asyncio
import gc
import random
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from typing import ClassVar, TypeVar, cast

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type

from common.backoff import delays
from common.config import WorkerSettings
from common.errors import FatalError, InvalidSetting, PoisonError, TransientError
from common.logs import OncePerMinute, logger, start_logging
from common.look_up import Loop

EXIT_FATAL, EXIT_SETTINGS, EXIT_UNFORESEEN = 1, 2, 70
"""Exit codes: a person must act; the settings are wrong; a defect of habus (EX_SOFTWARE)."""

ORDERLY_S = 6.0
"""Seconds in which a worker may end in order; whoever stops it often kills after 10."""

COLLECT_AFTER = 20_000
"""New objects after which garbage is looked for: batches of thousands die without any."""

LONGEST_WAIT_S = 300.0
"""Seconds that a server may ask us to wait; more counts as this."""

Answer = TypeVar("Answer")
AnySettings = TypeVar("AnySettings", bound=WorkerSettings)
log = logger(__name__)


class Stopped(Exception):
    """The worker was asked to stop while it waited: a normal end."""


def run(main: Callable[[asyncio.Event], Awaitable[None]]) -> int:
    """Run a worker until it ends, and return its exit code.

    SIGTERM and SIGINT set the event that `main` is handed; a second one cancels `main`.
    A FatalError becomes one sentence; what nobody foresaw, a traceback.
    """
    start_logging()
    gc.freeze()  # what the imports made stays: no collection need look at it again
    gc.set_threshold(COLLECT_AFTER, 20, 20)
    try:
        with asyncio.Runner(loop_factory=Loop) as runner:
            return runner.run(_until_stopped(main))
    except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - the last place there is
        return _exit_code(error)


def run_worker(
    settings_class: type[AnySettings], main: Callable[[AnySettings, asyncio.Event], Awaitable[None]]
) -> int:
    """Read the settings from the environment, run a worker with them, return its exit code."""

    async def start(stop: asyncio.Event) -> None:
        settings = settings_class.from_environment()
        start_logging(settings)
        await main(settings, stop)

    return run(start)


async def _until_stopped(main: Callable[[asyncio.Event], Awaitable[None]]) -> int:
    """Run `main`; 0, or 128 + the number of the signal that cancelled it.

    What has not ended `ORDERLY_S` seconds after the first signal is cancelled too: something is
    away that does not even refuse. What is in hand is given back, so this is a normal end.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    work = asyncio.ensure_future(main(stop))
    cancelled_by = 0
    is_late = False

    def hurry() -> None:
        nonlocal is_late
        if not work.done():
            log.warning("what is under way takes too long; leaving it to the next start")
            is_late = True
            work.cancel()

    def on(signum: signal.Signals) -> None:
        nonlocal cancelled_by
        if stop.is_set():
            log.warning("stopping at once", signal=signum.name)
            cancelled_by = signum
            work.cancel()
        else:
            log.info("stopping", signal=signum.name)
            stop.set()
            loop.call_later(ORDERLY_S, hurry)

    ends = [signal.SIGTERM, signal.SIGINT]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # else nohup wants us to stay
        ends.append(signal.SIGHUP)
    for signum in ends:
        loop.add_signal_handler(signum, on, signum)
    try:
        await work
    except asyncio.CancelledError:
        if not (cancelled_by or is_late):
            raise
        return 128 + cancelled_by if cancelled_by else 0
    return 0


def _exit_code(error: BaseException) -> int:
    """Say why the worker ended, once, and return its exit code."""
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, InvalidSetting):
            sys.stderr.write(f"{cause}\n")
            return EXIT_SETTINGS
    for cause in causes:
        if isinstance(cause, FatalError | TransientError):
            log.critical(str(cause))
            return EXIT_FATAL
    if all(isinstance(cause, Stopped) for cause in causes):
        return 0
    log.critical("stopped by a defect of habus; please report it", exc_info=error)
    return EXIT_UNFORESEEN


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error, or those that a TaskGroup gathered."""
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _causes(inner)
    else:
        yield error


async def patiently(
    call: Callable[[], Awaitable[Answer]],
    stop: asyncio.Event,
    waiting_for: str,
    on_wait: Callable[[TransientError | None], None] | None = None,
) -> Answer:
    """Return what the call answers, waiting out every TransientError.

    Waits 0.2 s at first, 10 s at most, or as long as the error's `retry_after` says.

    Args:
        call: What to do; it is done again after each wait.
        stop: When it is set during a wait, nothing is tried again.
        waiting_for: What is away, for the log: `Redis`.
        on_wait: Told each error, and None when it is over.

    Raises:
        Stopped: When `stop` was set during a wait.
    """
    try:
        return await call()
    except TransientError as error:
        failed = [error]
    wait = _Wait(stop, waiting_for, on_wait)

    async def attempt() -> Answer:
        # Only now tenacity is asked, which costs more than most calls: it counts the first try.
        if failed:
            raise failed.pop()
        return await call()

    retrying = AsyncRetrying(
        retry=retry_if_exception_type(TransientError),
        wait=wait.how_long,
        before_sleep=wait.say,
        sleep=wait.out,
    )
    try:
        answer: Answer = await retrying(attempt)
    except PoisonError:  # an answer, too: whom we waited for is there, and refuses an event
        wait.over()
        raise
    else:
        wait.over()
        return answer
    finally:
        wait.leave()


async def to_its_end(work: Awaitable[Answer]) -> Answer:
    """Wait for work even when we are cancelled: half of it would be worse."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        if not task.cancelled():
            task.exception()
        raise


async def pause(stop: asyncio.Event, seconds: float) -> None:
    """Wait so many seconds, or until `stop` is set."""
    if seconds > 0:
        # Not asyncio.wait_for: in Python 3.11 it may swallow a cancellation.
        # Source: https://github.com/python/cpython/issues/86296
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await stop.wait()


class _Wait:
    """One time of waiting: from the first error until it is over.

    Of several that wait for the same with the same error, in one process, only one says so.
    """

    _speakers: ClassVar[dict[tuple[str, str], "_Wait"]] = {}

    def __init__(
        self,
        stop: asyncio.Event,
        waiting_for: str,
        on_wait: Callable[[TransientError | None], None] | None,
    ) -> None:
        self._stop = stop
        self._waiting_for = waiting_for
        self._on_wait = on_wait
        self._delays = delays(random.random)
        self._warn = OncePerMinute(log.warning)
        self._began = 0.0

    def how_long(self, state: RetryCallState) -> float:
        """Seconds until the next try."""
        asked = getattr(_error(state), "retry_after", None) or 0.0
        return max(next(self._delays), min(asked, LONGEST_WAIT_S))

    def say(self, state: RetryCallState) -> None:
        """Tell that it waits, and for what."""
        error = _error(state)
        self._began = self._began or time.monotonic()
        if self._speakers.setdefault((self._waiting_for, str(error)), self) is self:
            tries = state.attempt_number
            self._warn("", f"waiting for {self._waiting_for}", error=error, tries=tries)
        if self._on_wait is not None:
            self._on_wait(error)

    async def out(self, seconds: float) -> None:
        """Wait, or raise Stopped as soon as the worker shall stop."""
        await pause(self._stop, seconds)
        if self._stop.is_set():
            raise Stopped(f"stopped while waiting for {self._waiting_for}")

    def over(self) -> None:
        """Tell that it goes on, if it waited at all."""
        if self._began:
            waited_s = round(time.monotonic() - self._began, 1)
            if any(speaker is self for speaker in self._speakers.values()):
                log.info("waiting is over", waited_for=self._waiting_for, waited_s=waited_s)
            if self._on_wait is not None:
                self._on_wait(None)

    def leave(self) -> None:
        """Let another say it, if it still waits."""
        for said in [said for said, speaker in self._speakers.items() if speaker is self]:
            del self._speakers[said]


def _error(state: RetryCallState) -> TransientError:
    """The error of a try; tenacity waits after no other kind."""
    return cast(TransientError, state.outcome and state.outcome.exception())

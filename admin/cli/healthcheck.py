"""`habus healthcheck <stage>`: whether a container should be started anew."""

import os
import socket
import sys
from collections.abc import Callable
from concurrent.futures import Future
from datetime import UTC, datetime
from threading import Thread
from typing import Final, TypeVar

from admin.cli import show
from admin.cli.at_desk import with_bus
from admin.config import Settings
from admin.health import age_s
from common.bus import STAGES, Bus
from common.errors import BusUnavailable, InvalidSetting
from common.heartbeat import EXPIRES_S, Pulse, read_pulses

Answer = TypeVar("Answer")
ANSWERS_WITHIN_S: Final = 8.0
"""Seconds after which nothing can be told; Docker's own time-out is longer."""


def healthcheck(stage: str) -> int:
    """Say whether a worker of a stage on this host is alive; return the exit code.

    A loop that hangs does not beat, and its last heartbeat expires. A worker that waits for
    Home Assistant or InfluxDB beats. When Redis is away nobody hears a heartbeat, and starting
    the container anew would not bring Redis back: that is 0.

    Raises:
        InvalidSetting: When there is no such stage.
    """
    if stage not in STAGES:
        raise InvalidSetting(f"there is no stage {stage!r}: {', '.join(STAGES)}")

    async def ask(bus: Bus, settings: Settings) -> list[Pulse]:
        found = await read_pulses(bus, stage)
        return [p for p in found if is_here(p, settings.worker_name, socket.gethostname())]

    try:
        mine = _in_time(lambda: with_bus(ask))
    except BusUnavailable as error:
        show.line(f"cannot tell: {error}")
        return 0
    ages = [age_s(pulse.beat, datetime.now(UTC)) for pulse in mine]
    if not ages or min(ages) > EXPIRES_S:
        show.line(f"no worker of stage {stage} on this host has a fresh heartbeat")
        return 1
    show.line(f"{stage} is alive, its last heartbeat {min(ages):.0f} s ago")
    return 0


def _in_time(call: Callable[[], Answer]) -> Answer:
    """Return what the call answers, or end the process: a name that is looked up hangs for long.

    Neither asyncio nor the interpreter ends while a thread of an executor looks up a name.
    """
    answer: Future[Answer] = Future()

    def run() -> None:
        try:
            answer.set_result(call())
        except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
            answer.set_exception(error)

    Thread(target=run, daemon=True).start()
    try:
        return answer.result(ANSWERS_WITHIN_S)
    except TimeoutError:
        show.line(f"cannot tell: Redis did not answer within {ANSWERS_WITHIN_S:g} s")
        sys.stdout.flush()
        os._exit(0)


def is_here(pulse: Pulse, name: str, host: str) -> bool:
    """Whether a heartbeat is of this host: by the host's name, or by the worker's."""
    return pulse.host == host or pulse.name == name

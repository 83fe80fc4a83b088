"""What a fault is, and how a pipeline is made to survive it."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import pytest
from _pytest.mark import ParameterSet

from tests.faults.pipeline import Outcome, Pipeline, Setup

Injection = Callable[[Pipeline], Awaitable[str]]
"""Makes the fault happen and end, under load; returns the proof that it happened.

Raises AssertionError when it did not happen: then the test is void.
"""


@dataclass(frozen=True)
class Fault:
    """One fault of the matrix.

    Attributes:
        id: Its number there, `F05`, and a letter where it has several forms.
        name: What happens, in words.
        inject: Makes it happen.
        setup: The pipeline it happens to.
        why_not: Why habus does not survive it yet; empty where it does.
    """

    id: str
    name: str
    inject: Injection
    setup: Setup
    why_not: str = ""

    def __str__(self) -> str:
        return f"{self.id}-{self.inject.__name__}"


FAULTS: list[Fault] = []
"""Every fault there is; the modules of `tests.faults` that have some add to it."""


def fault(
    fault_id: str, name: str, setup: Setup | None = None, why_not: str = ""
) -> Callable[[Injection], Injection]:
    """Note a function as the injection of a fault; one function may be noted more than once."""

    def noted(inject: Injection) -> Injection:
        FAULTS.append(Fault(fault_id, name, inject, setup or Setup(), why_not))
        return inject

    return noted


def faults_of(module: str) -> list[Fault]:
    """The faults that a module noted; those of one setup side by side."""
    listed = [each for each in FAULTS if each.inject.__module__ == module]
    setups = list(dict.fromkeys(each.setup for each in listed))
    return sorted(listed, key=lambda each: setups.index(each.setup))


async def survive(pipeline: Pipeline, fault: Fault) -> Outcome:
    """Let a fault happen under load, wait until it is healed, and check every invariant."""
    account = pipeline.account
    account.read_on()
    before_n, repeated, dead = account.last_n, account.repeated, len(pipeline.expected_dead)
    outcome = Outcome()
    await pipeline.flow()
    await pipeline.lives(0.1, 0.5)
    try:
        outcome.fired = await fault.inject(pipeline)
    finally:
        await pipeline.repair()
    ended = time.monotonic()
    account.read_on()
    until_n = account.last_n
    await pipeline.lives(0.3)
    await pipeline.stop_flow()
    outcome.recovery_s, waits = await pipeline.settled(until_n, ended)
    outcome.broken = await pipeline.audited()
    if waits:
        outcome.broken["I6 not healed"] = waits
    if not outcome.fired:
        outcome.broken["I11 did not happen"] = [fault.name]
    gone = await pipeline.dead()
    new = {key for key, change in account.changes.items() if change.n > before_n}
    outcome.sent = len(new & (account.owed | account.filtered))
    outcome.lost = len(account.missing - gone)
    outcome.stored_twice = sum(len(point.series) > 1 for point in account.points.values())
    outcome.buried_wrongly = len(gone - pipeline.expected_dead - account.strangers)
    outcome.buried_rightly = len(pipeline.expected_dead) - dead
    outcome.repeated = account.repeated - repeated
    return outcome


def params_of(module: str) -> list[ParameterSet]:
    """The faults of a module for `parametrize`; what is not survived yet must fail, with why."""
    return [
        pytest.param(
            each,
            id=str(each),
            marks=[pytest.mark.xfail(strict=True, reason=each.why_not)] if each.why_not else [],
        )
        for each in faults_of(module)
    ]

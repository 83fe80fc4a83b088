"""What people ask ingest to fetch from history, and how far it is: one field of a hash each."""

import uuid
from collections.abc import Sequence
from typing import Any, Final, Literal

import msgspec

from common.bus.connection import Bus
from common.errors import BackfillNotFound

REMEMBERED: Final = 100
"""Newest jobs that are kept; of those that are over, older ones go."""

State = Literal["waiting", "running", "done"]


class BackfillJob(msgspec.Struct, frozen=True, kw_only=True):
    """One request.

    Attributes:
        id: Its name.
        asked_at: ISO 8601 in UTC, as are all times here.
        start: From here on; `from` in JSON.
        end: Up to here; `to` in JSON.
        entities: Ids or patterns; none: every entity.
        state: `done` also when something could not be had: see `gaps`.
        done_until: Up to here history was asked for; empty while nothing was.
        progress: From 0 to 1.
        recovered: Events that were not there before.
        oldest: Time of the oldest row that history gave; empty while there is none.
        gaps: What history could not give.
        error: Why nothing was asked for; empty when all is well.
    """

    id: str
    asked_at: str
    start: str = msgspec.field(name="from")
    end: str = msgspec.field(name="to")
    entities: tuple[str, ...] = ()
    state: State = "waiting"
    done_until: str = ""
    progress: float = 0.0
    recovered: int = 0
    oldest: str = ""
    gaps: tuple[dict[str, Any], ...] = ()
    error: str = ""


_job = msgspec.json.Decoder(BackfillJob)


class Backfills:
    """The jobs.

    Args:
        bus: Where they are.
    """

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._key = bus.keys.backfill

    async def ask(self, start: str, end: str, entities: Sequence[str], now: str) -> BackfillJob:
        """Ask for a time; ingest begins within seconds.

        Raises:
            BusUnavailable: When Redis does not answer, or is full.
        """
        job = BackfillJob(
            id=uuid.uuid4().hex[:12], asked_at=now, start=start, end=end, entities=tuple(entities)
        )
        for old in (await self.list())[REMEMBERED - 1 :]:
            if old.state == "done":
                await self._bus.command("HDEL", self._key, old.id)
        await self._bus.write_hash(self._key, {job.id: msgspec.json.encode(job)})
        return job

    async def list(self) -> list[BackfillJob]:
        """Every job, newest first; what is no job is passed over.

        Raises:
            BusUnavailable: When Redis does not answer.
        """
        found = []
        for value in (await self._bus.read_hash(self._key)).values():
            try:
                found.append(_job.decode(value))
            except msgspec.DecodeError:
                continue
        return sorted(found, key=lambda job: (job.asked_at, job.id), reverse=True)

    async def get(self, job_id: str) -> BackfillJob:
        """One job.

        Raises:
            BackfillNotFound: When there is none of this name.
            BusUnavailable: When Redis does not answer.
        """
        for job in await self.list():
            if job.id == job_id:
                return job
        raise BackfillNotFound(f"no backfill is called {job_id}; `habus backfill --list` shows all")

    async def note(self, job: BackfillJob) -> bool:
        """Write how far a job is; False when it was cancelled.

        Raises:
            BusUnavailable: When Redis does not answer.
        """
        encoded = msgspec.json.encode(job)
        return bool(await self._bus.run("backfill", (self._key,), job.id, encoded))

    async def cancel(self, job_id: str) -> BackfillJob:
        """Forget a job; ingest stops within one question. What it fetched stays.

        Raises:
            BackfillNotFound: When there is none of this name.
            BusUnavailable: When Redis does not answer.
        """
        job = await self.get(job_id)
        await self._bus.command("HDEL", self._key, job_id)
        return job

"""Replay jobs: putting many letters back, in steps that survive whoever takes them."""

from collections.abc import Mapping, Sequence
from typing import Final, Literal, get_args

import msgspec

from common.bus.audit import Deed, flat_of
from common.bus.connection import Bus
from common.bus.dead_letter import Filter
from common.bus.entry import Field, number
from common.errors import ReplayNotFound

LEASE_MS: Final = 15_000
"""Milliseconds without a step after which somebody else may go on with a job."""

KEPT_S: Final = 30 * 86_400
"""Seconds for which a job that ended can be looked at."""

MOST_KEPT: Final = 200
"""Jobs that are listed; older ones are forgotten."""

State = Literal["running", "done", "cancelled", "failed"]


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """A replay job.

    Attributes:
        job: Its name.
        wanted: Which letters.
        ids: Only these; None: all that match.
        rate: Letters a second; 0: as fast as Redis takes them.
        force: Expired letters, too.
        total: Letters that matched when it was asked for.
        until: Entry id of the newest letter it is for; later ones are not meant.
        replayed: Letters that stand in a stream again.
        gone: Letters that somebody else had replayed or deleted.
        expired: Letters that were left alone, as they would only fall again.
        cursor: Entry id up to which all is done.
        error: Why it failed.
    """

    job: str
    state: State
    wanted: Filter
    ids: tuple[str, ...] | None
    rate: float
    force: bool
    total: int
    until: str
    who: str
    created_at: str
    updated_at: str
    finished_at: str | None = None
    replayed: int = 0
    gone: int = 0
    expired: int = 0
    cursor: str = "0-0"
    error: str | None = None

    @property
    def left(self) -> int:
        """Letters that are still to do."""
        done = self.replayed + self.gone + self.expired
        return max(0, self.total - done) if self.state == "running" else 0


class Step(msgspec.Struct, frozen=True):
    """What a step did; `state` is `taken` while somebody else runs the job."""

    state: str
    replayed: int
    gone: int
    expired: frozenset[str]


class Replays:
    """The replay jobs of one pipeline.

    Args:
        bus: Where they are.
    """

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._keys = bus.keys

    async def start(self, job: Job, deed: Deed, now_ms: int) -> None:
        """Write down a job; whoever runs jobs takes it up.

        Raises:
            BusUnavailable: When Redis does not answer, or is full.
        """
        fields: dict[str, Field] = {
            "job": job.job,
            "state": job.state,
            "filter": msgspec.json.encode(job.wanted),
            "ids": "" if job.ids is None else msgspec.json.encode(job.ids),
            "rate": repr(job.rate),
            "force": int(job.force),
            "total": job.total,
            "until": job.until,
            "who": job.who,
            "created_at": job.created_at,
            "updated_at": job.updated_at,
        }
        keys, flat = self._keys, _flat(fields)
        await self._bus.run(
            "start_replay",
            (keys.replay(job.job), keys.replays, keys.replays_running, keys.audit),
            *(job.job, now_ms, MOST_KEPT, len(flat)),
            many=[*flat, *flat_of(deed)],
        )

    async def get(self, job: str) -> Job:
        """Return a job.

        Raises:
            ReplayNotFound: When there is none of this name (any more).
            BusUnavailable: When Redis does not answer.
        """
        fields = await self._bus.read_hash(self._keys.replay(job))
        if not fields:
            raise ReplayNotFound(f"there is no replay {job!r} (any more)")
        return job_of(fields)

    async def newest(self, limit: int, after: str | None = None) -> list[Job]:
        """Return jobs, newest first; with `after` those that follow this one, which is listed.

        Raises:
            BusUnavailable: When Redis does not answer.
        """
        first = 0
        if after is not None:
            rank = await self._bus.command("ZREVRANK", self._keys.replays, after)
            if rank is None:  # forgotten, and all older ones with it
                return []
            first = rank + 1
        names = await self._bus.command("ZREVRANGE", self._keys.replays, first, first + limit - 1)
        hashes = [await self._bus.read_hash(self._keys.replay(name.decode())) for name in names]
        return [job_of(fields) for fields in hashes if fields]

    async def running(self) -> list[Job]:
        """Return the jobs that have not ended.

        Raises:
            BusUnavailable: When Redis does not answer.
        """
        names = await self._bus.command("SMEMBERS", self._keys.replays_running)
        hashes = [await self._bus.read_hash(self._keys.replay(name.decode())) for name in names]
        return [job_of(fields) for fields in hashes if fields.get("state") == b"running"]

    async def step(
        self, job: Job, letter_ids: Sequence[str], owner: str, now: str, now_ms: int
    ) -> Step:
        """Put some letters of a job back where they fell, each once, and count them.

        Raises:
            BusUnavailable: When Redis does not answer, or is full; what was done is written down.
        """
        keys = self._keys
        state, replayed, gone, expired = await self._bus.run(
            "replay_many",
            (keys.dead, keys.inbox, keys.enriched, keys.ledger, keys.replay(job.job)),
            *(owner, now_ms, LEASE_MS, now, int(job.force)),
            many=letter_ids,
        )
        left = frozenset(letter_id.decode() for letter_id in expired)
        return Step(state.decode(), int(replayed), int(gone), left)

    async def end(self, job: Job, state: State, deed: Deed, error: str = "") -> bool:
        """End a job that runs; return whether it ran.

        Raises:
            BusUnavailable: When Redis does not answer.
        """
        ended = await self._bus.run(
            "end_replay",
            (self._keys.replay(job.job), self._keys.audit, self._keys.replays_running),
            *(job.job, state, deed.at, error, KEPT_S, *flat_of(deed)),
        )
        return bool(ended)


def job_of(fields: Mapping[str, bytes]) -> Job:
    """Read the hash of a job."""
    text = {name: value.decode("utf-8", "replace") for name, value in fields.items()}
    state = text.get("state", "")
    total, replayed = number(text.get("total")), number(text.get("replayed"))
    gone, expired = number(text.get("gone")), number(text.get("expired"))
    if state == "done":  # what others took before this job came to it is not counted step by step
        gone = max(gone, total - replayed - expired)
    return Job(
        job=text.get("job", ""),
        state=state if state in get_args(State) else "failed",  # type: ignore[arg-type] # one of them
        wanted=msgspec.json.decode(text.get("filter") or "{}", type=Filter),
        ids=msgspec.json.decode(text["ids"], type=tuple[str, ...]) if text.get("ids") else None,
        rate=float(text.get("rate") or 0),
        force=text.get("force") == "1",
        total=total,
        until=text.get("until") or "0-0",
        who=text.get("who", ""),
        created_at=text.get("created_at", ""),
        updated_at=text.get("updated_at", ""),
        finished_at=text.get("finished_at") or None,
        replayed=replayed,
        gone=gone,
        expired=expired,
        cursor=text.get("cursor") or "0-0",
        error=text.get("error") or None,
    )


def _flat(fields: Mapping[str, Field]) -> list[Field]:
    return [part for pair in fields.items() for part in pair]

"""Names of everything that habus keeps in Redis."""

from dataclasses import dataclass
from typing import Final

ENRICH: Final = "enrich"
"""Consumer group of the room `enrich`, on `raw` and `inbox`; also its stage."""

STORE: Final = "store"
"""Consumer group of the room `store`, on `enriched`; also its stage."""

INGEST: Final = "ingest"
"""Stage of the room `ingest`, which has no consumer group."""

ADMIN: Final = "admin"
"""Stage of the room `admin`, which has no consumer group."""

STAGES: Final = (INGEST, ENRICH, STORE, ADMIN)
"""Every kind of worker, in the order in which an event meets them."""


@dataclass(frozen=True, slots=True)
class Keys:
    """Keys of one pipeline.

    Args:
        prefix: `BUS_PREFIX`, first part of every key.
    """

    prefix: str = "ha"

    @property
    def raw(self) -> str:
        """Stream of events as captured; ingest alone writes it."""
        return f"{self.prefix}:raw"

    @property
    def inbox(self) -> str:
        """Stream of events that a person handed in or replayed to `enrich`."""
        return f"{self.prefix}:inbox"

    @property
    def enriched(self) -> str:
        """Stream of events as enriched."""
        return f"{self.prefix}:enriched"

    @property
    def dead(self) -> str:
        """Stream of dead letters."""
        return f"{self.prefix}:dead"

    @property
    def registry(self) -> str:
        """Hash: the home's registries, a JSON list each, and `version`."""
        return f"{self.prefix}:registry"

    @property
    def ledger(self) -> str:
        """Hash: the counters that must balance."""
        return f"{self.prefix}:ledger"

    @property
    def watermark(self) -> str:
        """Hash: up to when the history is complete, and which spool writes `raw`."""
        return f"{self.prefix}:watermark"

    @property
    def backfill(self) -> str:
        """Hash: job → what a person asked ingest to fetch from history, and how far it is."""
        return f"{self.prefix}:backfill"

    @property
    def audit(self) -> str:
        """Stream: who replayed, edited or purged what."""
        return f"{self.prefix}:audit"

    @property
    def replays(self) -> str:
        """Sorted set: names of replay jobs by their start in ms."""
        return f"{self.prefix}:replays"

    @property
    def replays_running(self) -> str:
        """Set: names of the replay jobs that have not ended."""
        return f"{self.prefix}:replays:running"

    def replay(self, job: str) -> str:
        """Hash: one replay job, what it is for and how far it is."""
        return f"{self.prefix}:replay:{job}"

    @property
    def streams(self) -> dict[str, str]:
        """Short name → key of the four streams that events pass."""
        return {"raw": self.raw, "inbox": self.inbox, "enriched": self.enriched, "dead": self.dead}

    def worker(self, stage: str, name: str) -> str:
        """Hash: heartbeat of one worker; expires when it dies."""
        return f"{self.prefix}:worker:{stage}:{name}"

    def group_inputs(self, group: str) -> tuple[str, ...]:
        """Return the streams that a consumer group reads."""
        return {ENRICH: (self.raw, self.inbox), STORE: (self.enriched,)}[group]

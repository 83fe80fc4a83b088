"""Settings of store."""

from pydantic import Field

from common.config import SinkSettings, WorkerSettings


class Settings(WorkerSettings, SinkSettings):
    """Settings of store."""

    store_batch_size: int = Field(
        default=5000, ge=1, le=50_000, description="Most points in one write."
    )
    store_linger_ms: float = Field(
        default=10,
        ge=0,
        le=10_000,
        description="Shortest pause between two writes, milliseconds, in which the next batch "
        "gathers; an event that comes to an idle worker does not wait.",
    )

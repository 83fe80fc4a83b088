"""Settings of enrich."""

from common.config import WorkerSettings


class Settings(WorkerSettings):
    """Settings of enrich: those that every worker has."""

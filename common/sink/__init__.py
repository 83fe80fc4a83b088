"""Where events come to rest, and how they are asked for: the front door to InfluxDB and SQLite."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from common.config import SinkSettings
from common.sink.promise import Sink, StoredEvent

__all__ = ["Sink", "StoredEvent", "open_sink"]


@asynccontextmanager
async def open_sink(settings: SinkSettings, *, is_made: bool = False) -> AsyncIterator[Sink[Any]]:
    """Open the sink that the settings choose, and close it at the end; `check` it first.

    Args:
        settings: Say which.
        is_made: Whether a file is made where there is none: workers do that, and no command.
    """
    sink = _sink_of(settings, is_made=is_made)
    try:
        yield sink
    finally:
        await sink.close()


def _sink_of(settings: SinkSettings, *, is_made: bool) -> Sink[Any]:
    if settings.store_sink == "sqlite":
        from common.sink.sqlite import SqliteSink  # noqa: PLC0415 - only what is chosen is loaded

        return SqliteSink(settings.store_sqlite_path, is_made=is_made)
    # influxdb-client and what it needs take 18 MB.
    from common.sink.influx import InfluxSink  # noqa: PLC0415 - only what is chosen is loaded

    return InfluxSink(
        settings.influxdb_url,
        token=settings.influxdb_token.get_secret_value(),
        token_file=settings.file_of("INFLUXDB_TOKEN"),
        org=settings.influxdb_org,
        bucket=settings.influxdb_bucket,
        schema=settings.store_schema,
        timeout_s=settings.influxdb_timeout_s,
    )

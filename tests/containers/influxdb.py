"""The fake InfluxDB for other containers: on every address, set up by InfluxDB's own variables."""

import asyncio
import os
import signal

from tests.fakes.influxdb import FakeInfluxDB


class Reachable(FakeInfluxDB):
    """A fake that others than this machine reach."""

    async def back(self) -> None:
        """Listen on every address."""
        if self._server is None:
            self._server = await asyncio.start_server(self._serve, "0.0.0.0", self.port)  # noqa: S104 - a container's


async def main() -> None:
    """Serve until SIGTERM, on InfluxDB's port."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    told = {
        name: os.environ[f"DOCKER_INFLUXDB_INIT_{variable}"]
        for name, variable in {"token": "ADMIN_TOKEN", "org": "ORG", "bucket": "BUCKET"}.items()
    }
    async with Reachable(port=8086, **told):
        await stop.wait()


if __name__ == "__main__":
    asyncio.run(main())

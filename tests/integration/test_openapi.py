"""The OpenAPI document tells the truth: whatever it allows is answered as it says."""

import os
import re
import subprocess
import sys

import httpx
import pytest

from tests.fakes.servers import free_port
from tests.fakes.until import until
from tests.fakes.worker_process import WorkerProcesses

pytestmark = pytest.mark.integration

TOKEN = "a-token-that-is-long-enough"
EXAMPLES = os.environ.get("HABUS_SCHEMATHESIS_EXAMPLES", "6")
"""Most cases of each operation; 120 make more than 2,000 in all."""

FEWEST = 2000 if int(EXAMPLES) >= 120 else 15 * int(EXAMPLES)
"""Cases in all."""


async def test_every_route_keeps_its_word(tmp_path, redis_url):
    """No answer of any route but the live one contradicts the document, whatever is sent."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    admin = WorkerProcesses(
        tmp_path, REDIS_URL=redis_url, ADMIN_PORT=str(port), ADMIN_TOKEN=TOKEN
    ).start("admin")
    async with httpx.AsyncClient() as client:

        async def alive():
            try:
                return (await client.get(f"{url}/readyz")).status_code == 200
            except httpx.TransportError:
                return False

        await until(alive, what="admin")
    run = subprocess.run(  # noqa: ASYNC221 - nothing else is to be done meanwhile
        [
            *(sys.executable, "-m", "schemathesis.cli", "run", f"{url}/openapi.json"),
            *("--header", f"Authorization: {bearer['Authorization']}"),
            *("--exclude-path", "/api/v1/events/live", "--phases", "examples,fuzzing"),
            *("--max-examples", EXAMPLES, "--seed", "1", "--no-color"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert await admin.stop() == {"admin": 0}
    assert run.returncode == 0, run.stdout[-6000:] + run.stderr[-2000:]
    told = re.search(r"(\d+) generated", run.stdout)
    assert told, run.stdout[-2000:]
    assert int(told[1]) > FEWEST
    sys.stdout.write(f"schemathesis: {told[0]}\n")

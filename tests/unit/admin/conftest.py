"""An application on a Redis in memory: these tests need no server."""

import pytest

from admin.fake_redis import fake_redis
from tests.fakes.desk import admin_on
from tests.fakes.servers import free_port


@pytest.fixture
async def admin():
    """The application, its clients, its bus and its sink."""
    with fake_redis() as port:
        async with admin_on(f"redis://127.0.0.1:{port}/0") as found:
            yield found


@pytest.fixture
async def admin_alone():
    """The same while Redis is away."""
    async with admin_on(f"redis://127.0.0.1:{free_port()}/0") as found:
        yield found

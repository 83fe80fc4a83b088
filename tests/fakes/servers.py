"""Where the servers that tests start are found."""

import os
import shutil
import socket

import pytest


def require(*binaries: str) -> str:
    """Return the path of the first of these programs that is installed.

    Without any, the test is skipped; with HABUS_REQUIRE_SERVERS=1, as in CI, it fails.
    """
    for binary in binaries:
        path = shutil.which(binary)
        if path is not None:
            return path
    reason = f"{' or '.join(binaries)} is not installed"
    if os.environ.get("HABUS_REQUIRE_SERVERS") == "1":
        pytest.fail(f"{reason}, and HABUS_REQUIRE_SERVERS=1 forbids to skip")
    pytest.skip(reason)


def free_port() -> int:
    """Return a TCP port of the loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port

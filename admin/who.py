"""Who asks: for the audit."""

import getpass
import socket
from typing import TYPE_CHECKING

from common.bus import Who

if TYPE_CHECKING:  # a command needs no fastapi
    from fastapi import Request


def who_asks(request: "Request") -> Who:
    """Return who sent a request that the door let in."""
    address = address_of(request)
    has_token = "authorization" in request.headers
    return Who("token", "rest", address) if has_token else Who("session", "page", address)


def address_of(request: "Request") -> str:
    """Return the network address of who asks; behind a proxy that of the proxy."""
    return request.client.host if request.client else ""


def who_types() -> Who:
    """Return who typed a command."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        name = "unknown"
    return Who(name, "cli", socket.gethostname())


def habus_itself() -> Who:
    """Return what the audit says of deeds that a setting asks for."""
    return Who("habus", "habus", socket.gethostname())

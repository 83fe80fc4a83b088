"""A name that is looked up for ever does not keep a process."""

import asyncio
import socket
import threading

import pytest

from common.look_up import Loop
from tests.fakes.until import until


def run(main):
    with asyncio.Runner(loop_factory=Loop) as runner:
        return runner.run(main)


async def connect(host):
    reader, writer = await asyncio.open_connection(host, 1)
    writer.close()
    return reader


def test_a_name_is_found_as_ever():
    """Addresses come as from the socket module."""

    async def main():
        return await asyncio.get_running_loop().getaddrinfo("127.0.0.1", 80, type=1)

    assert run(main()) == socket.getaddrinfo("127.0.0.1", 80, type=1)


def test_a_name_that_is_not_there_is_an_error(monkeypatch):
    """What the look-up raises reaches who asked; so does what it says to an impossible name."""
    with pytest.raises(UnicodeError):
        run(connect("x" * 64 + ".invalid"))

    def fail(*_, **__):
        raise socket.gaierror("no such name")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(socket.gaierror, match="no such name"):
        run(connect("nowhere.invalid"))


def test_the_loop_ends_while_a_name_is_looked_up(monkeypatch):
    """The loop is closed and the look-up still hangs; when it ends nobody is disturbed."""
    asked, answer = threading.Event(), threading.Event()

    def hang(*_, **__):
        asked.set()
        answer.wait()
        return []

    monkeypatch.setattr(socket, "getaddrinfo", hang)

    async def main():
        task = asyncio.create_task(connect("slow.invalid"))
        await until(asked.is_set)
        task.cancel()

    run(main())
    [thread] = [one for one in threading.enumerate() if one.name == "look-up"]
    assert thread.is_alive()
    assert thread.daemon
    answer.set()
    thread.join()

"""The floor: pipelined XADD of the same entries, by a client that does nothing else."""

import json
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import hiredis

from tests.bench.processes import cpu_s
from tests.fakes.redis_server import RedisServer

ENTRIES = 20_000
"""Entries of the run that are taken."""

TIMES = 5
"""How often they are written in one measurement."""

PIPELINE = 500
"""Commands on their way at once, as many as ingest sends."""


@dataclass(frozen=True)
class Floor:
    """Medians.

    Attributes:
        per_s: XADD a second.
        client_us: Microseconds of CPU an entry, of the client: packing, sending, reading.
        redis_us: The same of Redis.
        entry_bytes: Mean length of an entry's names and values.
        entries: Entries in one measurement.
        json_us: Microseconds of CPU that Python's own `json.loads` takes for one event: says
            how fast this machine is at what the workers do.
    """

    per_s: float
    client_us: float
    redis_us: float
    entry_bytes: float
    entries: int
    json_us: float


class Client:
    """A socket to Redis."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), 60)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._reader = hiredis.Reader()

    def ask(self, commands: Sequence[tuple[Any, ...]]) -> list[object]:
        """Send commands in one go and wait for all answers."""
        self._socket.sendall(b"".join([hiredis.pack_command(words) for words in commands]))
        answers: list[object] = []
        while len(answers) < len(commands):
            answer = self._reader.gets()
            if answer is False:
                self._reader.feed(self._socket.recv(65_536))
            else:
                answers.append(answer)
        return answers

    def close(self) -> None:
        """Hang up."""
        self._socket.close()


def measure(redis: RedisServer, runs: int, stream: str = "ha:raw") -> Floor:
    """Write the newest entries of a stream into another, several times."""
    client = Client(redis.port)
    try:
        (found,) = client.ask([("XREVRANGE", stream, "+", "-", "COUNT", str(ENTRIES))])
        assert isinstance(found, list)
        entries = [tuple(flat) for _, flat in found]
        events = [flat[flat.index(b"data") + 1] for flat in entries]
        figures = [(*_once(client, redis.pid, entries), _json_us(events)) for _ in range(runs)]
    finally:
        client.close()
    per_s, client_us, redis_us, json_us = (median(each) for each in zip(*figures, strict=True))
    size = sum(sum(map(len, flat)) for flat in entries) / len(entries)
    return Floor(per_s, client_us, redis_us, size, len(entries) * TIMES, json_us)


def _json_us(events: Sequence[bytes]) -> float:
    started = time.process_time()
    for event in events:
        json.loads(event)
    return (time.process_time() - started) / len(events) * 1e6


def _once(
    client: Client, pid: int, entries: Sequence[tuple[bytes, ...]]
) -> tuple[float, float, float]:
    """Entries a second, and microseconds of CPU an entry: client, Redis."""
    count = len(entries) * TIMES
    redis_s, client_s, started = cpu_s(pid), time.process_time(), time.perf_counter()
    for _ in range(TIMES):
        for start in range(0, len(entries), PIPELINE):
            some = entries[start : start + PIPELINE]
            client.ask([("XADD", "bench:floor", "*", *flat) for flat in some])
    seconds = time.perf_counter() - started
    client_us = (time.process_time() - client_s) / count * 1e6
    redis_us = (cpu_s(pid) - redis_s) / count * 1e6
    client.ask([("DEL", "bench:floor")])
    return count / seconds, client_us, redis_us

"""The receiver: the least of an InfluxDB that answers 204, and keeps what came and when.

A process of its own: `python -m tests.bench.receiver FILE`; it prints its URL.
"""

import asyncio
import gzip
import struct
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

_RECORD = struct.Struct("<qI")
"""Before each body: when it was answered (nanoseconds since 1970), and its length in bytes."""

_ANSWER = b"HTTP/1.1 204 No Content\r\nX-Influxdb-Version: bench\r\n\r\n"


class Receiver(asyncio.Protocol):
    """One connection; requests come one after the other.

    Args:
        file: Takes the bodies of writes.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._came = bytearray()
        self._body_from = self._end = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep what answers go out by."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer as soon as a request is complete."""
        self._came += data
        while self._is_complete():
            body = self._came[self._body_from : self._end]
            head = bytes(self._came[: self._body_from]).lower()
            del self._came[: self._end]
            self._end = 0
            if b"content-encoding: gzip" in head:
                body = bytearray(gzip.decompress(body))
            self._transport.write(_ANSWER)
            if body:
                self._file.write(_RECORD.pack(time.time_ns(), len(body)))
                self._file.write(body)
                self._file.flush()

    def _is_complete(self) -> bool:
        if not self._end:
            end_of_head = self._came.find(b"\r\n\r\n")
            if end_of_head < 0:
                return False
            _, _, rest = bytes(self._came[:end_of_head]).lower().partition(b"content-length:")
            self._body_from = end_of_head + 4
            self._end = self._body_from + int(rest.partition(b"\r\n")[0] or 0)
        return len(self._came) >= self._end


class Writes:
    """What the receiver has kept so far; each call reads on where the last one ended.

    Attributes:
        answered: Time of a point in microseconds → when its first write was answered, ns.
        times: Time of each point, in the order of the writes.
        batches: When each write was answered, nanoseconds since 1970, and its points.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self.answered: dict[int, int] = {}
        self.times: list[int] = []
        self.batches: list[tuple[int, int]] = []

    def read_on(self) -> int:
        """Read what was added; return how many points there are now."""
        for at_ns, body in self._bodies():
            points = [int(line.rpartition(b" ")[2]) for line in body.splitlines()]
            self.times += points
            self.batches.append((at_ns, len(points)))
            for us in points:
                self.answered.setdefault(us, at_ns)
        return len(self.times)

    def _bodies(self) -> Iterator[tuple[int, bytes]]:
        with self._path.open("rb") as file:
            file.seek(self._offset)
            while len(head := file.read(_RECORD.size)) == _RECORD.size:
                at_ns, length = _RECORD.unpack(head)
                if len(body := file.read(length)) < length:
                    return
                self._offset = file.tell()
                yield at_ns, body


async def main(file: BinaryIO) -> None:
    """Serve until the process is ended."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Receiver(file), "127.0.0.1", 0)
    sys.stdout.write(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    with Path(sys.argv[1]).open("ab", buffering=2**20) as writes:
        asyncio.run(main(writes))

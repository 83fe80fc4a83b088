"""A worker's name: the same again after a restart, never that of a live twin beside it."""

import fcntl
import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import IO


@contextmanager
def slot(stage: str, name: str, *pipeline: str) -> Iterator[str]:
    """Hold a name among the workers of one stage of one pipeline on this machine.

    The first worker has the name itself, the next ones `name-2`, `name-3`…; what a worker left
    behind when it was killed is then its own again when it is started anew.

    Args:
        stage: `ingest`, `enrich`, `store` or `admin`.
        name: `WORKER_NAME`.
        pipeline: What tells this pipeline from others on this machine.
    """
    key = hashlib.sha256("\0".join((stage, name, *pipeline)).encode()).hexdigest()[:16]
    for number in count(1):
        path = Path(tempfile.gettempdir()) / f"habus-{os.getuid()}-{stage}-{key}-{number}.lock"
        while (lock := _locked(path)) and not _is_same(lock, path):
            lock.close()  # its last holder removed it meanwhile
        if lock is None:
            continue
        with lock:
            try:
                yield name if number == 1 else f"{name}-{number}"
            finally:
                path.unlink(missing_ok=True)  # while it is still locked
        return


def _locked(path: Path) -> IO[str] | None:
    lock = path.open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        return None
    return lock


def _is_same(lock: IO[str], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(lock.fileno()), path.stat())
    except FileNotFoundError:
        return False

"""A worker's name: the same again after a restart, never that of a live twin beside it."""

import fcntl
import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path


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
        with path.open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            yield name if number == 1 else f"{name}-{number}"
            return

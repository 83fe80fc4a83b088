"""Loading a library without another that it would only try to use: workers stay small."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def hidden(module: str) -> Iterator[None]:
    """While this lasts, importing the module fails as if it were not installed.

    Args:
        module: Top-level name; what was imported before is there again afterwards.
    """
    before = sys.modules.get(module)
    sys.modules[module] = None  # type: ignore[assignment] # Python's own way to say: not there
    try:
        yield
    finally:
        del sys.modules[module]
        if before is not None:
            sys.modules[module] = before

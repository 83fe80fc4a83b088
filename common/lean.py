"""Loading a library without the parts of it that nobody here uses: workers stay small."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any


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


@contextmanager
def hollow(package: str, *, but: Sequence[str] = ()) -> Iterator[None]:
    """While this lasts, modules of a package are loaded without their code.

    Whatever is imported from such a module is an empty class that takes any arguments.

    Args:
        package: `influxdb_client.domain`, say; the package itself is loaded as it is.
        but: Names of modules that are loaded as they are.
    """
    finder = _Hollow(f"{package}.", but)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


class _Hollow(MetaPathFinder, Loader):
    def __init__(self, prefix: str, but: Sequence[str]) -> None:
        self._prefix = prefix
        self._but = but

    def find_spec(self, fullname: str, *_: object) -> ModuleSpec | None:
        name = fullname.removeprefix(self._prefix)
        if name == fullname or name in self._but:
            return None
        return ModuleSpec(fullname, self)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _HollowModule(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Run nothing."""


class _HollowModule(ModuleType):
    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever is asked for
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {"__init__": lambda *_, **__: None})

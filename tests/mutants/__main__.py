"""Breaks habus on purpose, one way at a time, in a copy: `python -m tests.mutants [WORDS]`.

With words only those mutants are tried whose name holds them.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Final

import msgspec

from tests.mutants import of_bus, of_gaps, of_ingest, of_store
from tests.mutants.mutant import Mutant

HOUSE: Final = Path(__file__).parents[2]
MUTANTS: Final = (*of_ingest.MUTANTS, *of_gaps.MUTANTS, *of_bus.MUTANTS, *of_store.MUTANTS)
LONGEST_S: Final = 90.0
"""Seconds in which a test must turn red: one that hangs tells nobody what is wrong."""

_RED: Final = 1
"""What pytest exits with when tests ran and some failed."""

_LEFT_OUT: Final = shutil.ignore_patterns(".*", "__pycache__", "data", "dist", "*.egg-info")


class Run(msgspec.Struct, frozen=True):
    """What became of some tests.

    Attributes:
        code: Exit code of pytest; None when it hung.
        red: Names of the tests that failed.
        skipped: Names of the tests that did not run.
        output: What pytest said.
        seconds: How long it took.
    """

    code: int | None
    red: list[str]
    skipped: list[str]
    output: str
    seconds: float


def main(words: list[str]) -> int:
    """Try each mutant; 0 when every one was killed."""
    wanted = [mutant for mutant in MUTANTS if " ".join(words) in mutant.name]
    faults = [fault for mutant in wanted for fault in mutant.faults(HOUSE)]
    if faults or not wanted:
        _say(*faults or ["no mutant has a name like that"])
        return 1
    with tempfile.TemporaryDirectory(prefix="habus-mutants-") as folder:
        copy = Path(folder, "habus")
        shutil.copytree(HOUSE, copy, ignore=_LEFT_OUT, symlinks=True)
        whole = _run(copy, sorted({test for mutant in wanted for test in mutant.tests}), 600.0)
        if whole.code != 0 or whole.skipped:
            _say(whole.output, "unbroken, these must be green and none skipped:", *whole.skipped)
            return 1
        _say(f"{whole.seconds:6.1f} s  unbroken: all tests are green")
        survivors = [mutant.name for mutant in wanted if not _is_killed(mutant, copy)]
    _say(*(f"SURVIVED: {name}; a test is missing" for name in survivors))
    _say(f"{len(wanted) - len(survivors)} of {len(wanted)} mutants killed")
    return 1 if survivors else 0


def _is_killed(mutant: Mutant, copy: Path) -> bool:
    """Break the copy, see whether a test turns red, and mend the copy."""
    path = copy / mutant.file
    text = path.read_text("utf-8")
    path.write_text(mutant.broken(text), "utf-8")
    try:
        run = _run(copy, list(mutant.tests), LONGEST_S, "--exitfirst")
    finally:
        path.write_text(text, "utf-8")
    is_killed = run.code == _RED and bool(run.red)
    fate = f"killed by {', '.join(run.red)}" if is_killed else f"ALIVE\n{run.output[-2000:]}"
    _say(f"{run.seconds:6.1f} s  {mutant.name}: {fate}")
    return is_killed


def _run(copy: Path, tests: list[str], longest_s: float, *options: str) -> Run:
    report = copy / "report.xml"
    report.unlink(missing_ok=True)
    pytest = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "")
    # Without byte code on disk: Python takes a stale file for a fresh one within a second.
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(copy)}
    started = time.monotonic()
    try:
        done = subprocess.run(
            [*pytest, *options, f"--junitxml={report}", *tests],
            cwd=copy,
            env=environment,
            capture_output=True,
            text=True,
            timeout=longest_s,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        return Run(None, [], [], f"hung: {error}", time.monotonic() - started)
    seconds = time.monotonic() - started
    cases = list(ET.parse(report).iter("testcase")) if report.exists() else []  # noqa: S314 - pytest's own
    red = [_name(case) for case in cases if case.find("failure") is not None or _errs(case)]
    skipped = [_name(case) for case in cases if case.find("skipped") is not None]
    return Run(done.returncode, red, skipped, done.stdout + done.stderr, seconds)


def _errs(case: ET.Element) -> bool:
    return case.find("error") is not None


def _say(*lines: str) -> None:
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()


def _name(case: ET.Element) -> str:
    return case.get("name", "?")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

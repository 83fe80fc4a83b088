"""Mutants never rot."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.mutants.__main__ import MUTANTS
from tests.mutants.mutant import Mutant

HOUSE = Path(__file__).parents[3]
TESTS = ("test_a.py::test_x",)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_each_mutant_can_be_tried(mutant):
    """Its old text stands once in its file, what it becomes is code, and its tests are there."""
    assert list(mutant.faults(HOUSE)) == []


def test_no_mutant_fails_for_a_name_that_is_not_there(tmp_path):
    """A NameError would turn any test red, and prove nothing."""
    for number, mutant in enumerate(MUTANTS):
        if mutant.file.endswith(".py"):
            text = mutant.broken((HOUSE / mutant.file).read_text("utf-8"))
            (tmp_path / f"m{number}.py").write_text(text)
    ruff = (sys.executable, "-m", "ruff", "check", "--isolated", "--select", "F821,F823")
    done = subprocess.run([*ruff, tmp_path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_each_has_a_name_of_its_own():
    """The report tells them apart."""
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)


@pytest.mark.parametrize(
    ("mutant", "fault"),
    [
        (Mutant("m", "gone.py", "1", "2", TESTS), "there is no gone.py"),
        (Mutant("m", "a.py", "3", "2", TESTS), "stands 0 times"),
        (Mutant("m", "a.py", "=", "2", TESTS), "stands 2 times"),
        (Mutant("m", "a.py", "1", ")", TESTS), "unmatched"),
        (Mutant("m", "a.lua", "1", ")", ()), "no test is named"),
        (Mutant("m", "a.py", "1", "2", ("test_a.py::test_y",)), "no test test_a.py::test_y"),
        (Mutant("m", "a.py", "1", "2", ("test_b.py::test_x",)), "no test test_b.py::test_x"),
    ],
)
def test_what_cannot_be_tried_is_told(tmp_path, mutant, fault):
    """A mutant whose text or test is gone is named, with what is wrong."""
    (tmp_path / "test_a.py").write_text("def test_x():\n    pass\n")
    (tmp_path / "a.py").write_text("a = 1\nb = 0\n")
    (tmp_path / "a.lua").write_text("a = 1\n")
    [told] = mutant.faults(tmp_path)
    assert fault in told

"""The watchdog, in a process of its own."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[2]
HANGS = """
import itertools, sys
from common import watchdog
watchdog.HUNG_S = 0.1
for _ in range(3):
    with watchdog.watched():
        pass
sys.stderr.{stderr}
def never_ends():
    for _ in itertools.repeat(None):
        pass
with watchdog.watched():
    {work}
print("it goes on")
"""


def run(work, stderr="flush()"):
    script = HANGS.format(work=work, stderr=stderr)
    return subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip


def test_work_that_hangs_ends_the_process_with_a_traceback():
    """Who hangs is ended, and where it hung is said."""
    ended = run("never_ends()")
    assert ended.returncode == -signal.SIGALRM
    assert "never_ends" in ended.stderr
    assert "it goes on" not in ended.stdout


def test_work_that_ends_is_left_alone():
    """Who is done in time, or fails, is watched no longer."""
    ended = run("pass\nimport time; time.sleep(0.5)")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "it goes on\n", "")
    assert "ZeroDivisionError" in run("1 / 0").stderr


def test_it_bites_without_a_stderr():
    """Where nobody can read the traceback the process ends all the same."""
    assert run("never_ends()", stderr="close()").returncode == -signal.SIGALRM

"""The heap of the C library, in a process of its own."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[2]
FAULTS = """
import resource
from common.heap import keep_heap
{keep}
def faults_of_a_batch():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    buffers = [b"x" * 700_000 for _ in range(4)]
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
print([faults_of_a_batch() for _ in range(20)][-1])
"""


def page_faults(keep):
    script = FAULTS.format(keep=keep)
    return int(subprocess.check_output([sys.executable, "-c", script], cwd=ROOT, text=True))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only glibc can be told")
def test_what_is_freed_is_taken_again_without_the_kernel():
    """The buffers of a batch cost page faults once, and not each time anew."""
    assert page_faults("") > 100, "this C library needs no telling"
    assert page_faults("assert keep_heap()") < 10

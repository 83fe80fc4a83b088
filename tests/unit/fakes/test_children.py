import subprocess
import time

from tests.fakes.children import children


def test_sees_a_child_until_it_ends():
    """A child is listed with its command while it lives, and no longer."""
    with subprocess.Popen(["sleep", "60"]) as child:
        # Between fork and exec a process has no command line of its own yet.
        deadline = time.monotonic() + 10
        while "sleep 60" not in children()[child.pid]:
            assert time.monotonic() < deadline
        child.kill()
    assert child.pid not in children()

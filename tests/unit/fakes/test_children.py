import subprocess

from tests.fakes.children import children


def test_sees_a_child_until_it_ends():
    """A child is listed with its command while it lives, and no longer."""
    child = subprocess.Popen(["sleep", "60"])
    assert "sleep 60" in children()[child.pid]
    child.kill()
    child.wait()
    assert child.pid not in children()

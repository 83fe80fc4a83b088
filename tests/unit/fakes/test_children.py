import subprocess

from tests.fakes.children import children


def test_sees_a_child_until_it_ends():
    """A child is listed with its command while it lives, and no longer."""
    with subprocess.Popen(["sleep", "60"]) as child:
        seen = children()
        child.kill()
    assert "sleep 60" in seen[child.pid]
    assert child.pid not in children()

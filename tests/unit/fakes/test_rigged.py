"""Traps: whom they catch, and that they can be taken away at any moment."""

from pathlib import Path

import pytest

from tests.fakes.rigged import trapped


class Killed(BaseException):
    """In place of the death of this process."""


@pytest.fixture
def way(monkeypatch, tmp_path):
    """Lay a trap of a name on a function that says what it is told; give its file too."""

    def die(_pid, _signal):
        raise Killed

    monkeypatch.setattr("tests.fakes.rigged.os.kill", die)

    def build(name="trap"):
        file = tmp_path / name
        return trapped(lambda said: said, "kill", file), file

    return build


def test_a_trap_catches_whom_its_words_mean(way):
    """Arguments without the words pass; each victim leaves a trace."""
    call, file = way()
    assert call("cat") == "cat"
    file.write_text("dog\nbird")
    assert call("cat") == "cat"
    with pytest.raises(Killed):
        call("a bird")
    assert len(file.with_name("trap.sprung").read_text().splitlines()) == 1


def test_an_empty_trap_is_for_anybody(way):
    """Without words it catches all, as long as it lies there."""
    call, file = way()
    file.touch()
    for _ in range(2):
        with pytest.raises(Killed):
            call("cat")


def test_a_trap_for_one_springs_once(way):
    """`.once` is gone after its first victim."""
    call, file = way("trap.once")
    file.touch()
    with pytest.raises(Killed):
        call("cat")
    assert call("cat") == "cat"


def test_a_trap_that_is_taken_away_meanwhile_catches_nobody(way, monkeypatch):
    """A process can look while another removes the file: it goes on as if there were none."""
    call, _ = way()
    monkeypatch.setattr(Path, "exists", lambda _: True)
    assert call("cat") == "cat"


def test_a_trap_for_one_catches_one_of_two(way):
    """Whoever finds the file gone when removing it has come second."""
    call, file = way("trap.once")
    file.write_text("cat")

    class Late:
        def __repr__(self):
            file.unlink()  # the other one was quicker
            return "cat"

    late = Late()
    assert call(late) is late
    assert not file.with_name("trap.once.sprung").exists()

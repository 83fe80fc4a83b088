"""A worker's name among its twins."""

import multiprocessing
import os
import signal
import tempfile

import pytest

from common import slot as slot_module
from common.slot import slot


@pytest.fixture(autouse=True)
def _own_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def test_twins_get_names_of_their_own():
    """The first worker has the name itself, the others a number; a free name is given again."""
    with slot("enrich", "attic", "url") as first:
        with slot("enrich", "attic", "url") as second, slot("enrich", "attic", "url") as third:
            assert (first, second, third) == ("attic", "attic-2", "attic-3")
        with slot("enrich", "attic", "url") as again:
            assert again == "attic-2"
    with slot("enrich", "attic", "url") as name:
        assert name == "attic"


def test_others_are_no_twins():
    """Another stage, name or pipeline on the same machine takes no name away."""
    with (
        slot("enrich", "attic", "url"),
        slot("store", "attic", "url") as stage,
        slot("enrich", "cellar", "url") as name,
        slot("enrich", "attic", "another") as pipeline,
    ):
        assert (stage, name, pipeline) == ("attic", "cellar", "attic")


def hold(folder, ready):
    tempfile.tempdir = folder
    with slot("enrich", "attic", "url"):
        ready.send(1)
        signal.pause()


def test_a_worker_that_was_killed_leaves_its_name(tmp_path):
    """After a kill the same name is free, so that what it left behind is found."""
    context = multiprocessing.get_context("fork")
    ready, told = context.Pipe(duplex=False)
    worker = context.Process(target=hold, args=(str(tmp_path), told))
    worker.start()
    try:
        assert ready.recv() == 1
        with slot("enrich", "attic", "url") as beside:
            assert beside == "attic-2"
    finally:
        os.kill(worker.pid, signal.SIGKILL)
        worker.join()
    with slot("enrich", "attic", "url") as name:
        assert name == "attic"


def test_no_file_is_left_behind(tmp_path):
    """A worker that ends in order takes its lock away with it, and its twin keeps its own."""
    with slot("enrich", "attic", "url"):
        with slot("enrich", "attic", "url"):
            pass
        assert len(list(tmp_path.iterdir())) == 1
    assert not list(tmp_path.iterdir())


def test_a_lock_whose_file_was_removed_meanwhile_is_none(tmp_path, monkeypatch):
    """Between opening and locking its last holder removed the file: it is made anew."""
    real, removed = slot_module.fcntl.flock, []

    def late(lock, how):
        if not removed:
            removed.append(next(tmp_path.iterdir()))
            removed[0].unlink()
        real(lock, how)

    monkeypatch.setattr(slot_module.fcntl, "flock", late)
    with slot("enrich", "attic", "url") as first:
        monkeypatch.undo()
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
        with slot("enrich", "attic", "url") as second:
            assert (first, second) == ("attic", "attic-2")

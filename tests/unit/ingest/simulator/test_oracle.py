"""The oracle's file."""

from pathlib import Path

from ingest.simulator.oracle import (
    HISTORY,
    LINE,
    SENT,
    UNSENT,
    Change,
    Oracle,
    changes_in,
    read_oracle,
)


def test_reads_what_was_written(tmp_path: Path):
    """Changes come back in order; what never left the queue was not sent."""
    oracle = Oracle(tmp_path / "oracle", fsync=True)
    oracle.write(
        [LINE % (1, 10, b"a.b", SENT, b'"x\\ty\\n"'), LINE % (2, 11, b"a.b", SENT, b"null")]
    )
    oracle.write([LINE % (3, 12, b"a.c", HISTORY, b'"1"'), UNSENT % (2, 3)])
    assert read_oracle(tmp_path / "oracle") == [
        Change(1, 10, "a.b", "x\ty\n", sent=True),
        Change(2, 11, "a.b", None, sent=False),
        Change(3, 12, "a.c", "1", sent=False),
    ]
    oracle.close()


def test_a_torn_line_is_left_out():
    """A line that is being written is not read."""
    whole = LINE % (1, 10, b"a.b", SENT, b'"1"')
    assert [change.n for change in changes_in(whole + whole[:-4])] == [1]
    assert not list(changes_in(b""))


def test_is_there_before_anybody_asks(tmp_path: Path):
    """What was written can be read while the file is open, and stays when it is opened again."""
    path = tmp_path / "oracle"
    first = Oracle(path)
    first.write([LINE % (1, 10, b"a.b", SENT, b'"1"')])
    assert len(read_oracle(path)) == 1
    first.close()
    second = Oracle(path)
    second.write([LINE % (2, 11, b"a.b", SENT, b'"1"')])
    second.close()
    assert len(read_oracle(path)) == 2

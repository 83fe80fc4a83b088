"""What commands print."""

import json

from admin.cli import show


def test_a_table_in_a_pipe_is_whole_and_plain(capsys):
    """Without a terminal nothing is cut off, coloured, or folded."""
    show.table(("name", "count#"), [("x" * 300, 1), ("y", 20)], "nothing")
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines] == [["name", "count"], ["x" * 300, "1"], ["y", "20"]]


def test_an_empty_table_is_a_sentence(capsys):
    """No row: the sentence, not a bare header."""
    show.table(("name",), [], "There is nothing.")
    assert capsys.readouterr().out == "There is nothing.\n"


def test_nothing_can_reach_the_terminal(capsys):
    """Control characters and markup of an event are shown, not obeyed; secrets are hidden."""
    show.table(("name",), [("[red]a\x1b[2J\nb",), ("?token=abc",)], "")
    out = capsys.readouterr().out
    assert "[red]a\\x1b[2J\\nb" in out
    assert "abc" not in out
    assert len(out.splitlines()) == 3


def test_numbers_for_people():
    """Thousands apart; what nobody knows is n/a."""
    assert show.number(1234567) == "1,234,567"
    assert show.number(0.25, " s") == "0.2 s"
    assert show.number(None) == "n/a"
    assert show.memory(3 * 2**20) == "3.0 MB"
    assert show.memory(1536) == "1.5 kB"
    assert show.memory(None) == "n/a"


def test_json_is_json(capsys):
    """JSON comes out as it went in."""
    show.as_json({"ä": [1]})
    assert json.loads(capsys.readouterr().out) == {"ä": [1]}
    show.as_json_line({"a": 1})
    assert capsys.readouterr().out == '{"a": 1}\n'


def test_a_bad_row_is_red_in_a_terminal(monkeypatch, capsys):
    """What must not be is seen at a glance; a pipe gets no colours."""
    rows = [("lost", 7), ("stored", 8)]
    show.table(("events", "count#"), rows, "", lambda row: row[0] == "lost")
    assert "\x1b" not in capsys.readouterr().out
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    show.table(("events", "count#"), rows, "", lambda row: row[0] == "lost")
    red = [line for line in capsys.readouterr().out.splitlines() if "31m" in line]
    assert len(red) == 1
    assert "lost" in red[0]

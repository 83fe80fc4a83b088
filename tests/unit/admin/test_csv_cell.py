"""Cells of a CSV file."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from admin.csv_cell import cell, row


@pytest.mark.parametrize("text", ["=1+1", "+x", "-x", "@SUM(A1)", "\t=1", "\r=1", "  =1", "-1 +2"])
def test_what_a_spreadsheet_would_run_is_text(text):
    """A cell that looks like a formula begins with an apostrophe."""
    assert cell(text).startswith("\"'")


@pytest.mark.parametrize("text", ["-1.5", "+2", "1e-3", "kitchen", "", "a=b"])
def test_what_is_harmless_stays_as_it_is(text):
    """Numbers and plain text are not touched."""
    assert cell(text) == f'"{text}"'


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))))
def test_a_row_is_read_back(values):
    """Whatever the cells hold, a reader finds the same cells, but for the apostrophe."""
    [found] = csv.reader(io.StringIO(row(values), newline="")) if values else [[]]
    assert [one.removeprefix("'") for one in found] == [one.removeprefix("'") for one in values]


def test_nothing_is_an_empty_cell():
    """None is no text."""
    assert row([None, 1]) == '"","1"\r\n'

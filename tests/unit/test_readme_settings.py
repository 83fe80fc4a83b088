import sys

import pytest

from tests.readme_settings import main, renewed

BEGIN, END = "<!-- settings: made -->\n", "<!-- /settings -->"


def test_what_is_around_the_table_stays(tmp_path, monkeypatch):
    """Only what stands between the two comments is written anew, and the same each time."""
    path = tmp_path / "README.md"
    path.write_text(f"before\n{BEGIN}old{END}\nafter")
    monkeypatch.setattr(sys, "argv", ["", str(path)])
    assert main() == 0
    once = path.read_text()
    assert once.startswith(f"before\n{BEGIN}\n| variable |")
    assert once.endswith(f"|\n\n{END}\nafter")
    assert "old" not in once
    assert renewed(once) == once


@pytest.mark.parametrize("readme", ["nothing", f"{BEGIN}{END}{BEGIN}{END}"])
def test_without_one_place_for_it_nothing_is_written(readme):
    """Where the comments are missing, or there twice, nobody guesses."""
    with pytest.raises(ValueError, match="no one place"):
        renewed(readme)

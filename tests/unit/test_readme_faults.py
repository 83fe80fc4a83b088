import json
import sys

import pytest

from tests.readme_faults import main, renewed

BEGIN, END = "<!-- faults: made -->\n", "<!-- /faults -->"
FAULT = {
    "id": "F05b",
    "kind": "test_redis",
    "survived": True,
    "sent": 1200,
    "lost": 0,
    "stored_twice": 0,
    "buried_wrongly": 0,
    "repeated": 7,
    "recovery_s": 1.26,
}
FAILED = FAULT | {"id": "F27", "kind": "test_network", "survived": False, "lost": 3}
RECORD = {"seed": 5, "commit": "abc1234", "at": "2026-11-21", "faults": [FAULT, FAILED]}


def test_a_run_becomes_a_table(tmp_path, monkeypatch):
    """Each kind of fault has its row, the last is their sum, and what is around stays."""
    readme, record = tmp_path / "README.md", tmp_path / "faults.json"
    readme.write_text(f"before\n{BEGIN}old{END}\nafter")
    record.write_text(json.dumps(RECORD))
    monkeypatch.setattr(sys, "argv", ["", str(readme), str(record)])
    assert main() == 0
    text = readme.read_text()
    assert text.startswith(f"before\n{BEGIN}")
    assert text.endswith(f"{END}\nafter")
    assert "commit `abc1234`, `FAULT_SEED=5`: 2 faults in 2 classes" in text
    assert "| 1 of 1 | 1,200 | 0 | 0 | 0 | 7 | 1.3 / 1.3 |" in text
    assert "| 0 of 1 | 1,200 | 3 | 0 | 0 | 7 | – |" in text
    assert "| **all** | 1 of 2 | 2,400 | 3 | 0 | 0 | 14 | 1.3 / 1.3 |" in text
    assert renewed(text, RECORD) == text


@pytest.mark.parametrize("readme", ["nothing", f"{BEGIN}{END}{BEGIN}{END}"])
def test_without_one_place_for_it_nothing_is_written(readme):
    """Where the comments are missing, or there twice, nobody guesses."""
    with pytest.raises(ValueError, match="no one place"):
        renewed(readme, RECORD)

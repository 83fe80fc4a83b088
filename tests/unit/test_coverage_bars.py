from tests.coverage_bars import shortfalls

PURE = ["common/event.py", "enrich/steps/*.py"]


def report(covered, branches, **files):
    return {"totals": {"covered_branches": covered, "num_branches": branches}, "files": files}


def file(lines=(), branches=()):
    return {"missing_lines": list(lines), "missing_branches": [list(pair) for pair in branches]}


def test_every_bar_held():
    """95 % of all branches and all of the pure files are enough."""
    files = {"common/event.py": file(), "store/worker.py": file([3], [(1, 2)])}
    assert shortfalls(report(95, 100, **files), PURE) == []
    assert shortfalls(report(0, 0), PURE) == ["all files: 0.0 % of branches, below 95.0 %"]


def test_too_few_branches_in_all():
    """Below 95 % of all branches the check fails and says how far."""
    assert shortfalls(report(949, 1000), PURE) == ["all files: 94.9 % of branches, below 95.0 %"]


def test_a_pure_file_with_a_hole():
    """A pure file must be reached whole: lines and branches."""
    files = {"enrich/steps/unit.py": file([7]), "common/event.py": file([], [(1, 2)])}
    assert shortfalls(report(100, 100, **files), PURE) == [
        "common/event.py: pure, but lines [] and branches [[1, 2]] are not reached",
        "enrich/steps/unit.py: pure, but lines [7] and branches [] are not reached",
    ]

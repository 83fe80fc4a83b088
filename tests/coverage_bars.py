"""Hold what the tests reached against the bars: 95 % of all branches, every line of a pure file.

Usage: python tests/coverage_bars.py .coverage.json
"""

import json
import sys
import tomllib
from pathlib import Path

BRANCHES_PERCENT = 95.0


def shortfalls(report: dict, pure: list[str]) -> list[str]:
    """Return a line for each bar that is missed.

    Args:
        report: What `coverage json` writes.
        pure: Globs of the pure files.
    """
    totals = report["totals"]
    reached = 100 * totals["covered_branches"] / max(totals["num_branches"], 1)
    found = []
    if reached < BRANCHES_PERCENT:
        found.append(f"all files: {reached:.1f} % of branches, below {BRANCHES_PERCENT} %")
    for path, file in sorted(report["files"].items()):
        lines, branches = file["missing_lines"], file.get("missing_branches", [])
        if (lines or branches) and any(Path(path).match(glob) for glob in pure):
            found.append(f"{path}: pure, but lines {lines} and branches {branches} are not reached")
    return found


def main() -> int:
    """Print what is missing; 1 where anything is."""
    house = tomllib.loads(Path("pyproject.toml").read_text())["tool"]["house"]
    found = shortfalls(json.loads(Path(sys.argv[1]).read_text()), house["pure"])
    sys.stdout.write(
        "".join(f"coverage: {line}\n" for line in found) or "coverage: every bar held\n"
    )
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())

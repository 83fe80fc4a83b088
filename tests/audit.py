"""Known vulnerabilities of what is installed, as pip-audit tells them; or that nobody could tell.

Usage: python -m tests.audit

Where its database cannot be reached pip-audit names each package it could not ask about, and then
says that it found nothing. That would be no audit, so here it is a failure with a code of its own.
"""

import json
import subprocess
import sys

FOUND, UNKNOWN = 1, 2
"""Exit codes: something is vulnerable; nobody could tell."""


def verdict(report: dict | None, complaint: str) -> tuple[int, list[str]]:
    """Return the exit code, and what to say.

    Args:
        report: What `pip-audit --format json` writes; None where it wrote none.
        complaint: What it wrote to stderr.
    """
    packages = report["dependencies"] if report else []
    asked = [package for package in packages if "skip_reason" not in package]
    skipped = [package["name"] for package in packages if "skip_reason" in package]
    if not asked:
        why = [] if report else complaint.strip().splitlines()
        said = "the database of vulnerabilities cannot be reached from here: nothing was audited"
        return UNKNOWN, [said, *why[-1:]]
    lines = [
        f"{package['name']} {package['version']}: {bug['id']}, mended in"
        f" {', '.join(bug['fix_versions']) or 'no version yet'}"
        for package in asked
        for bug in package["vulns"]
    ]
    lines.append(f"{len(asked)} packages audited, {len(lines)} known vulnerabilities")
    if skipped:
        lines.append(f"the database does not know {', '.join(skipped)}: not audited")
    return FOUND if len(lines) > 1 + bool(skipped) else 0, lines


def main() -> int:
    """Ask, and tell."""
    run = subprocess.run(
        [sys.executable, "-m", "pip_audit", "--local", "--skip-editable", "--format", "json"],
        capture_output=True,
        text=True,
        check=False,
    )
    code, lines = verdict(json.loads(run.stdout) if run.stdout else None, run.stderr)
    sys.stdout.write("".join(f"audit: {line}\n" for line in lines))
    return code


if __name__ == "__main__":
    sys.exit(main())

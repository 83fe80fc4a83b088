"""The audit tells what is vulnerable, and never that all is well when nobody could tell."""

from tests.audit import FOUND, UNKNOWN, verdict

GOOD = {"name": "redis", "version": "8.1.0", "vulns": []}
BAD = {
    "name": "starlette",
    "version": "0.40.0",
    "vulns": [{"id": "CVE-2025-62727", "fix_versions": ["0.49.1"]}],
}
SKIPPED = {"name": "uvicorn", "skip_reason": "Dependency not found on PyPI"}


def test_all_is_well_when_all_was_asked_about():
    """The number says for how many packages that holds."""
    assert verdict({"dependencies": [GOOD]}, "") == (
        0,
        ["1 packages audited, 0 known vulnerabilities"],
    )


def test_a_vulnerability_is_named_with_its_cure():
    """One vulnerable package fails the audit."""
    code, lines = verdict({"dependencies": [GOOD, BAD]}, "")
    assert code == FOUND
    assert lines[0] == "starlette 0.40.0: CVE-2025-62727, mended in 0.49.1"


def test_what_was_not_asked_about_is_named():
    """A package of our own may be unknown to the database; that is told, and no failure."""
    code, lines = verdict({"dependencies": [GOOD, SKIPPED]}, "")
    assert code == 0
    assert lines[-1] == "the database does not know uvicorn: not audited"
    assert verdict({"dependencies": [BAD, SKIPPED]}, "")[0] == FOUND


def test_without_database_nothing_is_well():
    """Nothing asked about, or no answer at all: the audit says so, and fails."""
    complaint = "warning\nConnectionError: no route to host\n"
    for report in ({"dependencies": [SKIPPED]}, {"dependencies": []}, None):
        code, lines = verdict(report, complaint)
        assert code == UNKNOWN
        assert "cannot be reached" in lines[0]
    assert lines[1] == "ConnectionError: no route to host"

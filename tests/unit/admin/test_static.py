"""The dashboard's files: nothing of an event becomes markup, and what is vendored is unchanged."""

import hashlib
import re
from pathlib import Path

import pytest

STATIC = Path(__file__).parents[3] / "admin" / "static"
OWN = sorted(path for path in STATIC.rglob("*") if path.suffix in {".js", ".html", ".css"})
OWN = [path for path in OWN if "vendor" not in path.parts]
MARKUP = re.compile(
    r"\b(innerHTML|outerHTML|insertAdjacentHTML|setHTML\w*|createContextualFragment|DOMParser"
    r"|document\.write\w*|srcdoc|eval|Function|setAttributeNS)\b|javascript:|\bset(?:Timeout|Interval)"
    r"\(\s*[\"'`]"
)
MOST_LINES = 250


def name_of(path):
    return path.relative_to(STATIC).as_posix()


@pytest.mark.parametrize("path", OWN, ids=name_of)
def test_nothing_becomes_markup(path):
    """No file of ours uses what turns text into elements or into code."""
    found = MARKUP.findall(path.read_text("utf-8"))
    assert not found, f"{path}: {found}; use textContent, and functions"


@pytest.mark.parametrize("path", OWN, ids=name_of)
def test_nothing_comes_from_elsewhere(path):
    """No file of ours names another host; the namespace of SVG and cited pages are only names."""
    text = path.read_text("utf-8").replace("http://www.w3.org/2000/svg", "")
    text = re.sub(r"// Source: https://\S+", "", text)
    hosts = set(re.findall(r"https?://([\w.-]+)", text))
    assert hosts <= {"homeassistant.local", "127.0.0.1"}, path


@pytest.mark.parametrize("path", OWN, ids=name_of)
def test_a_file_is_one_idea(path):
    """Files stay short enough to be read."""
    assert len(path.read_text("utf-8").splitlines()) <= MOST_LINES


def test_the_rule_against_markup_can_fail():
    """Each way of making markup is found."""
    for bad in ("x.innerHTML = y", 'eval("1")', "setTimeout('x()')", '<a href="javascript:1">'):
        assert MARKUP.search(bad), bad


def test_what_is_vendored_is_what_was_recorded():
    """Each vendored file is the one whose digest was written down, and none is without."""
    folder = STATIC / "vendor"
    recorded = dict(
        reversed(line.split("  "))
        for line in (folder / "VENDORED.txt").read_text().splitlines()
        if re.fullmatch(r"[0-9a-f]{64}  \S+", line)
    )
    found = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.iterdir()
        if path.name != "VENDORED.txt"
    }
    assert found == recorded
    assert "uPlot.LICENSE.txt" in found

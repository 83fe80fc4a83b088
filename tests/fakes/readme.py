"""The README, cut into what a reader would type, look up or open."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_SETTINGS = re.compile(r"<!-- settings.*<!-- /settings -->", re.DOTALL)
_IN_CONTAINER = re.compile(r"^docker compose exec (\w+) ?")


def blocks(language: str) -> list[str]:
    """Every fenced block in a language, in order."""
    return [text for named, text in _FENCE.findall(README) if named == language]


def inline() -> list[str]:
    """Every piece of `code` outside of blocks and of the generated table."""
    return re.findall(r"`([^`\n]+)`", _SETTINGS.sub("", _FENCE.sub("", README)))


def typed() -> list[str]:
    """Every command line, wherever it stands."""
    return [line for text in blocks("sh") for line in text.splitlines()] + inline()


def section(title: str) -> str:
    """The text under a heading, up to the next."""
    return README.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def tasks() -> list[tuple[str, str]]:
    """(task, command) of each row of the table of everyday tasks; some have two commands."""
    return [
        (row.split(" | ")[0].strip("| "), command)
        for row in section("Everyday tasks").splitlines()
        if row.startswith("| ") and not row.startswith("| task")
        for command in re.findall(r"`([^`]+)`", row)
    ]


def words_after(program: str) -> list[list[str]]:
    """Arguments of each command line of a program, in a container or not."""
    found = []
    for line in typed():
        words = _IN_CONTAINER.sub("", line).removeprefix(".venv/bin/").split()
        while words and "=" in words[0]:
            del words[0]
        if words and words[0] == program:
            found.append(words[1:])
    return found


def containers() -> set[str]:
    """Services into which the reader is sent."""
    return {found[1] for line in typed() if (found := _IN_CONTAINER.match(line))}

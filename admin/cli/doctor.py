"""`habus doctor`."""

import asyncio

from admin.cli import show
from admin.config import Settings
from admin.doctor import Finding, findings
from admin.standalone import home_and_spool
from common.logs import start_logging

SIGNS = {"fine": "✓", "warning": "!", "wrong": "✗"}
"""Verdict → the sign before the line."""


def doctor(*, as_json: bool) -> int:
    """Print a line for each thing looked at; return 1 when something is wrong."""
    settings = Settings.from_environment()
    start_logging()
    found = asyncio.run(_ask(settings, silent=as_json))
    if as_json:
        show.as_json({"findings": found})
    return 1 if any(finding.verdict == "wrong" for finding in found) else 0


async def _ask(settings: Settings, *, silent: bool) -> list[Finding]:
    home, spool = home_and_spool()
    found = []
    async for finding in findings(settings, home, spool.parent):
        found.append(finding)
        if not silent:
            advice = f": {finding.advice}" if finding.advice else ""
            show.line(f"{SIGNS[finding.verdict]} {finding.about:<15}{finding.text}{advice}")
    return found

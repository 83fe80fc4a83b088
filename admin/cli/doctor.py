"""`habus doctor`."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

from admin.cli import show
from admin.doctor import Finding, findings
from admin.standalone import for_doctor
from common.logs import start_logging

SIGNS = {"fine": "✓", "warning": "!", "wrong": "✗"}
"""Verdict → the sign before the line."""


def doctor(*, as_json: bool) -> int:
    """Print a line for each thing looked at; return 1 when something is wrong."""
    settings, home, spool = for_doctor()
    start_logging()
    found = asyncio.run(_ask(findings(settings, home, spool.parent), silent=as_json))
    if as_json:
        show.as_json({"findings": found})
    return 1 if any(finding.verdict == "wrong" for finding in found) else 0


async def _ask(asked: AsyncGenerator[Finding], *, silent: bool) -> list[Finding]:
    found = []
    async with aclosing(asked):
        async for finding in asked:
            found.append(finding)
            if not silent:
                advice = f": {finding.advice}" if finding.advice else ""
                show.line(f"{SIGNS[finding.verdict]} {finding.about:<15}{finding.text}{advice}")
    return found

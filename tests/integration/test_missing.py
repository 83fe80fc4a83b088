"""What is missing, as the spool remembers it."""

import pytest
from msgspec.structs import replace

from ingest.gap import Span
from ingest.missing import Missing
from ingest.spool import open_spool
from tests.fakes.bus import START_MS, START_US, event

pytestmark = pytest.mark.integration


async def test_a_first_span_that_is_interrupted_is_first_no_more(tmp_path):
    """From the newest live event on somebody relied on us: what stays missing since is a gap."""
    async with open_spool(tmp_path / "spool.db") as spool:
        await spool.add([event(7)], filtered=0, now_ms=START_MS)
        missing = Missing(spool, None, "home", 2.0)
        missing.span = Span(START_US - 100, is_first=True, promised=START_US)
        await missing.begin(START_US + 50)
        expected = replace(missing.span, is_first=False, promised=START_US + 7)
        assert missing.span == expected

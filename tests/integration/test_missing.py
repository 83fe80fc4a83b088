"""What is missing, as the spool remembers it."""

import pytest
from msgspec.structs import replace

from common.event import BACKFILL
from ingest.gap import Span
from ingest.missing import Missing
from ingest.spool import open_spool
from tests.fakes.bus import START_MS, START_US, event

pytestmark = pytest.mark.integration


GONE = b'{"event_type":"state_changed","data":{"entity_id":"sensor.a","new_state":null}}'


async def test_which_entities_there_are_outlives_a_kill(tmp_path):
    """What came and went since it was kept is read from the spool; history adds nothing."""
    path = tmp_path / "spool.db"
    came = [event(1), event(2, "sensor.b"), event(3, "sensor.c")]
    went = [event(4, data=GONE), event(5, "sensor.d"), event(6, "sensor.b", data=GONE)]
    async with open_spool(path) as spool:
        missing = Missing(spool, None, "home", 2.0)
        missing.hear(came)
        await spool.add(came, filtered=0, now_ms=START_MS)
        await missing.close((), "")
        missing.hear(went, [went[0], went[2]])
        assert missing.present == {"sensor.c", "sensor.d"}
        old = event(0, "sensor.e", BACKFILL)
        await spool.add([*went, event(7, "sensor.b"), old], filtered=0, now_ms=START_MS)
    async with open_spool(path) as spool:
        assert Missing(spool, None, "home", 2.0).before == {"sensor.b", "sensor.c", "sensor.d"}


async def test_what_vanished_is_not_taken_from_the_spool_again(tmp_path):
    """Once its gap is told, its last events in the spool do not bring it back."""
    path = tmp_path / "spool.db"
    async with open_spool(path) as spool:
        await spool.add([event(1), event(2, "sensor.b")], filtered=0, now_ms=START_MS)
        missing = Missing(spool, None, "home", 2.0)
        assert missing.before == {"sensor.a", "sensor.b"}
        missing.hear([event(2, "sensor.b")])
        await missing.close((), "")
    async with open_spool(path) as spool:
        assert Missing(spool, None, "home", 2.0).before == {"sensor.b"}


async def test_a_connection_that_ends_while_a_span_is_closed_keeps_its_entities(tmp_path):
    """Who is there is known also where the next connection begins before the disk has it."""
    async with open_spool(tmp_path / "spool.db") as spool:
        missing = Missing(spool, None, "home", 2.0)
        missing.before = {"sensor.a", "sensor.gone"}
        missing.hear([event(1), event(2, "sensor.b")])
        note = spool.note

        async def slowly(facts):
            await note(facts)
            if "gaps" in facts:
                await missing.begin(START_US)

        spool.note = slowly
        await missing.close((), "")
        assert missing.before == {"sensor.a", "sensor.b"}


async def test_only_state_changes_tell_of_entities(tmp_path):
    """An event of another type may name an entity that is gone, or that never was."""
    told = replace(event(1), type="entity_registry_updated")
    async with open_spool(tmp_path / "spool.db") as spool:
        missing = Missing(spool, None, "home", 2.0)
        missing.hear([told])
        assert missing.present == set()


async def test_within_a_batch_the_last_change_of_an_entity_counts(tmp_path):
    """What is removed and comes again is there; what comes and is removed is not."""
    away, back = event(1, data=GONE), event(2)
    async with open_spool(tmp_path / "spool.db") as spool:
        missing = Missing(spool, None, "home", 2.0)
        missing.before = {"sensor.a", "sensor.b"}
        missing.hear([away, back], [away])
        assert missing.present == {"sensor.a"}
        again = event(3, data=GONE)
        missing.hear([back, again], [again])
        assert (missing.present, missing.before) == (set(), {"sensor.b"})


async def test_a_first_span_that_is_interrupted_is_first_no_more(tmp_path):
    """From the newest live event on somebody relied on us: what stays missing since is a gap."""
    async with open_spool(tmp_path / "spool.db") as spool:
        await spool.add([event(7)], filtered=0, now_ms=START_MS)
        missing = Missing(spool, None, "home", 2.0)
        missing.span = Span(START_US - 100, is_first=True, promised=START_US)
        await missing.begin(START_US + 50)
        expected = replace(missing.span, is_first=False, promised=START_US + 7)
        assert missing.span == expected

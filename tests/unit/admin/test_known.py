"""What is remembered of each entity that passed."""

import asyncio
import json

import pytest

from admin import known
from admin.known import Lasts, known_entities
from common.bus import Entry
from common.bus.entry import position_of
from common.registry import EMPTY

ENTITY = "sensor.a"


class Passed:
    """A stream that only what is asked for touches."""

    def __init__(self):
        self.entries = []
        self.read = 0

    def pass_by(self, entity_id, state):
        """Let one more entry pass."""
        processing = {"steps": [], "version": "", "processed_at": "", "ms": 0}
        told = {"available": True, "attributes": {}, "quality": [], "state": state,
                "processing": processing}  # fmt: skip
        fields = {"entity_id": entity_id, "time": f"t{len(self.entries)}"}
        fields["data"] = json.dumps(told)
        self.entries.append(Entry(f"{1000 + len(self.entries)}-0", fields))

    async def newest(self, name, limit, before=None):
        assert name == "enriched"
        end = position_of(before) if before else (10**15, 0)
        found = [entry for entry in self.entries[::-1] if position_of(entry.entry_id) < end]
        self.read += len(found[:limit])
        await asyncio.sleep(0)
        return found[:limit]


@pytest.fixture
def passed(monkeypatch):
    monkeypatch.setattr(known, "PAGE", 3)
    monkeypatch.setattr(known, "FARTHEST", 12)
    return Passed()


async def states(lasts):
    return {entity_id: last.state for entity_id, last in (await lasts()).items()}


async def test_the_newest_state_of_each_entity_counts(passed):
    """However often an entity passed, and on whatever page; what has no entity is passed over."""
    lasts = Lasts(passed)
    assert await states(lasts) == {}
    for number in range(8):
        passed.pass_by(f"sensor.{number % 3}", str(number))
        passed.pass_by("", "an event")
    del passed.entries[:6]
    assert await states(lasts) == {"sensor.0": "6", "sensor.1": "7", "sensor.2": "5"}
    assert (await lasts())["sensor.1"].last_seen == "t14"


async def test_what_is_known_is_not_read_again(passed):
    """A second look reads on from the first, and remembers what the stream has lost since."""
    lasts = Lasts(passed)
    passed.pass_by("sensor.rare", "1")
    for number in range(7):
        passed.pass_by(ENTITY, str(number))
    await lasts()
    del passed.entries[:8]
    passed.read = 0
    passed.entries += [Entry("5000-0", {"entity_id": ENTITY, "data": "no JSON"})]
    found = await lasts()
    assert passed.read == 1
    assert found["sensor.rare"].state == "1"
    assert found[ENTITY] == known.Last()


async def test_a_look_goes_back_so_far_and_no_farther(passed):
    """Nobody waits long for an entity that was not heard of for thousands of entries."""
    passed.pass_by("sensor.long_ago", "1")
    for number in range(20):
        passed.pass_by(ENTITY, str(number))
    lasts = Lasts(passed)
    assert await states(lasts) == {ENTITY: "19"}
    assert passed.read == known.FARTHEST


async def test_looks_at_once_agree(passed):
    """One who asks while another reads gets the newest, too."""
    lasts = Lasts(passed)
    for number in range(9):
        passed.pass_by(ENTITY, str(number))
    first = asyncio.create_task(states(lasts))
    await asyncio.sleep(0)
    passed.pass_by(ENTITY, "new")
    assert (await states(lasts))[ENTITY] == "new"
    await first
    assert (await states(lasts))[ENTITY] == "new"


def test_entities_of_the_stream_alone_are_known_too():
    """Those of YAML stand in no registry."""
    [found] = known_entities(EMPTY, {ENTITY: known.Last(state="21.5", friendly_name="A")})
    assert (found.entity_id, found.state, found.friendly_name) == (ENTITY, "21.5", "A")
    assert found.area is None

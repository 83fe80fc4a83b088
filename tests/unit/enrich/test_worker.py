"""What `enrich` makes of a batch."""

from common.bus.delivery import delivery
from common.bus.entry import fields_of
from common.errors import MalformedEvent
from common.event import Event
from common.registry import EMPTY
from enrich.worker import outcomes_of


def held(n, flat):
    flat = [part if isinstance(part, bytes) else str(part).encode() for part in flat]
    return delivery("ha:raw", b"1-%d" % n, flat)


def test_one_bad_event_costs_nothing_but_itself(make):
    """Beside entries that are no event, or one that cannot be read, the others are enriched."""
    good = [make.change("1", entity_id="sensor.a"), make.change("2", entity_id="sensor.b")]
    batch = [
        held(1, fields_of(good[0])),
        held(2, [b"hello", b"world"]),
        held(3, fields_of(make.event(b"{"))),
        held(4, fields_of(good[1])),
    ]
    outcomes = outcomes_of(batch, EMPTY, make.time)
    assert [type(outcome) for outcome in outcomes] == [Event, MalformedEvent, MalformedEvent, Event]
    assert [outcomes[0].id, outcomes[3].id] == [good[0].id, good[1].id]

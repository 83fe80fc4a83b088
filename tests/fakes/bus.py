"""Events for the bus, and short questions to it."""

from collections.abc import Sequence
from typing import Any

from common.bus import INGEST, Bus, Consumer, Delivery, RawStream, Row, Tally
from common.bus.entry import Field, fields_of
from common.bus.letter import Burial, letter
from common.errors import MalformedEvent
from common.event import LIVE, STATE_CHANGED, Event, event_id, time_of
from common.ledger import Ledger, read_ledger

START_US = 1_795_189_957_000_000
"""Time of event 0: microseconds since 1970."""

START_MS = START_US // 1000
"""First part of the entry ids that `rows` gives."""

SPOOL = "the-spool-of-the-tests"

CHANGE = b'{"data":{"new_state":{"state":"21.5","attributes":{}}}}'
"""`data` of a state change that `enrich` takes."""


def event(n: int, entity_id: str = "sensor.a", source: str = LIVE, data: bytes = b"{}") -> Event:
    """The n-th event: one microsecond after the one before."""
    time = time_of(START_US + n)
    identity = event_id("home", STATE_CHANGED, entity_id, time)
    return Event(identity, STATE_CHANGED, entity_id, time, source, "home", data)


def rows(first: int, last: int) -> list[Row]:
    """Rows of the spool with these numbers, both included."""
    return [Row(n, START_MS, event(n), []) for n in range(first, last + 1)]


def letter_row(n: int) -> Row:
    """A row of what could not be read."""
    burial = Burial(
        stage=INGEST, origin="websocket", origin_id="", deliveries=1, worker="me", at=time_of(0)
    )
    flat = letter(fields_of(event(n)), MalformedEvent("it is rubbish"), burial)
    return Row(n, START_MS, event(n), flat)


async def append(bus: Bus, first: int, last: int) -> RawStream:
    """Let ingest append these rows to `raw`; return what appended them."""
    raw = RawStream(bus, SPOOL)
    await raw.own()
    for start in range(first, last + 1, 500):
        await raw.append(rows(start, min(last, start + 499)), Tally())
    return raw


async def append_enriched(bus: Bus, count: int) -> None:
    """Put events where `store` reads, as if `enrich` had forwarded them."""
    await append(bus, 1, count)
    await bus.command("XGROUP", "CREATE", bus.keys.raw, "enrich", "0", "MKSTREAM")
    await bus.command("XGROUP", "SETID", bus.keys.raw, "enrich", "$", "ENTRIESREAD", count)
    for n in range(1, count + 1):
        await bus.command("XADD", bus.keys.enriched, "*", *fields_of(event(n)))


def events_of(batch: Sequence[Delivery]) -> list[Event]:
    """The events of a batch in which each can be read."""
    found = [delivery.event for delivery in batch]
    assert all(isinstance(one, Event) for one in found), found
    return [one for one in found if isinstance(one, Event)]


async def pending(bus: Bus, stream: str, group: str) -> dict[bytes, tuple[bytes, int]]:
    """Entry id → who holds it, and how often it was delivered."""
    found: list[Any] = await bus.command("XPENDING", stream, group, "-", "+", 100_000)
    return {entry_id: (owner, times) for entry_id, owner, _, times in found}


async def field_values(bus: Bus, stream: str, field: str) -> list[str]:
    """One field of each entry of a stream, in order."""
    entries: list[tuple[bytes, dict[bytes, bytes]]] = await bus.command("XRANGE", stream, "-", "+")
    return [fields.get(field.encode(), b"").decode() for _, fields in entries]


async def balanced(bus: Bus) -> Ledger:
    """Return the ledger, which must balance."""
    ledger = await read_ledger(bus)
    assert ledger.unaccounted == 0, ledger
    return ledger


def consumer(bus: Bus, group: str = "enrich", name: str = "me", **knobs: Any) -> Consumer:
    """A consumer with the defaults of the tests."""
    return Consumer(bus, group, name, **knobs)


def flat_of(fields: dict[bytes, bytes]) -> list[Field]:
    """Names and values of an entry one after the other."""
    return [part for pair in fields.items() for part in pair]

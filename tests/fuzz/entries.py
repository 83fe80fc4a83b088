"""Entries that strangers write into the streams, with good ones between them."""

import asyncio
import random
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import msgspec

from common.bus import ENRICH, STORE, Bus, Consumer, connect
from common.bus.entry import fields_of
from common.errors import PoisonError
from common.event import LIVE, Event
from common.registry import EMPTY
from common.sink import line
from enrich.chain import enrich
from enrich.worker import outcomes_of
from ingest.parse import parse
from store.worker import points_of
from tests.fakes.recordings import event_texts
from tests.fakes.redis_server import RedisServer
from tests.fuzz.mutation import Mutator
from tests.fuzz.report import Report

AT_ONCE: Final = 500
"""Entries written before a worker reads them."""

_LONGEST_S: Final = 120.0
_NOW: Final = "2026-11-20T15:44:33.435789+00:00"


async def tries(seed: int, count: int) -> Report:
    """Write so many entries; each must end as a letter of itself or as a point."""
    dice = random.Random(seed)  # noqa: S311 - chance that can be repeated
    strange = Strange(dice)
    report = Report()
    async with redis_for_strangers() as bus:
        while report.tried < count:
            number = min(AT_ONCE, count - report.tried)
            before = report.tried
            stream, group, outcome_of = dice.choice(
                (
                    (bus.keys.raw, ENRICH, _enriched),
                    (bus.keys.inbox, ENRICH, _enriched),
                    (bus.keys.enriched, STORE, _stored),
                )
            )
            entries = [strange.entry() for _ in range(number)]
            with report.trying(f"{number} entries for {stream}, seed {seed}, after {before}"):
                async with asyncio.timeout(_LONGEST_S):
                    await _round(bus, stream, group, entries, outcome_of, report)
            report.tried = before + number
    return report


class Strange:
    """Makes entries: good ones, broken ones, and such as nobody ever saw."""

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice
        self._mutator = Mutator(dice)
        texts = [text for text in event_texts("2024.3.3") if len(text) < 4_000]
        captured = [parse(text, "home", LIVE) for text in dice.sample(texts, 200)]
        clock = time.perf_counter_ns
        enriched = [enrich(event, EMPTY, _NOW, "1", clock) for event in captured[:100]]
        self._events = [*captured, *enriched, *enriched]

    def entry(self) -> list[bytes]:
        """Return the flat fields of one entry."""
        flat = [_bytes(part) for part in fields_of(self._dice.choice(self._events))]
        at = 2 * self._dice.randrange(len(flat) // 2)
        other: list[list[bytes]] = [
            flat,
            [self.word() for _ in range(2 * self._dice.randint(1, 12))],
            flat[:at] + flat[at + 2 :],
            [*flat, flat[at], self.word()],
            [*flat, b"replays", self.word()],
            [*flat[:-1], self._mutator.broken(flat[-1])],
            [*flat[:at], self.word(), *flat[at + 1 :]],
            [*flat[: at + 1], self.word(), *flat[at + 2 :]],
        ]
        return self._dice.choice(other)

    def letter(self) -> list[bytes]:
        """Return the flat fields of what somebody put among the dead letters."""
        flat = self.entry()
        for name in (b"stage", b"reason", b"error", b"detail", b"deliveries", b"at", b"origin"):
            if self._dice.random() < 0.7:
                flat += [b"dead_" + name, self.word()]
        return flat

    def word(self) -> bytes:
        """Return what may stand in the place of any name or value."""
        dice = self._dice
        words = (
            dice.choice((b"foo", b"v", b"1", b"2", b"id", b"data", b"{}", b"store", b"")),
            dice.randbytes(dice.choice((1, 4, 40))),
            dice.choice((b"9" * 5_000, b"-1", b"\xc2\xb2", b"1e9", b"\xff", b"NaN")),
            self._mutator.broken(msgspec.json.encode(str(dice.random()))),
            self._mutator.text().encode(errors="surrogatepass"),
        )
        return dice.choice(words)


@asynccontextmanager
async def redis_for_strangers() -> AsyncIterator[Bus]:
    """A Redis of its own."""
    with (
        tempfile.TemporaryDirectory(prefix="habus-fuzz-") as folder,
        RedisServer(Path(folder)) as server,
    ):
        async with connect(server.url) as bus:
            yield bus


Outcomes = Callable[[list], list[Event | PoisonError]]  # type: ignore[type-arg]


async def _round(  # noqa: PLR0913, PLR0917 - what one round is about
    bus: Bus,
    stream: str,
    group: str,
    entries: list[list[bytes]],
    outcome_of: Outcomes,
    report: Report,
) -> None:
    """Write entries, work them off as a worker does, and look where each of them is."""
    await bus.command("FLUSHALL")
    stop = asyncio.Event()
    consumer = Consumer(bus, group, "me")
    ids = await bus.commands(*(("XADD", stream, "*", *flat) for flat in entries))
    goods = 0
    left = len(entries)
    batches = consumer.batches(stop)
    while left:
        batch = await anext(batches)
        outcomes = outcome_of(batch)
        if group == ENRICH:
            await consumer.forward(batch, outcomes, bus.keys.enriched, stop)
        else:
            refusals = {n: o for n, o in enumerate(outcomes) if isinstance(o, PoisonError)}
            await consumer.settle(batch, refusals, stop)
        goods += sum(isinstance(outcome, Event) for outcome in outcomes)
        left -= len(batch)
    await batches.aclose()
    assert (await bus.command("XPENDING", stream, group))[0] == 0, "something is pending for ever"
    letters = {}
    for _, fields in await bus.command("XRANGE", bus.keys.dead, "-", "+"):
        origin_id = fields[b"dead_origin_id"]
        assert fields[b"dead_reason"], "a letter without a cause"
        letters[origin_id] = {n: v for n, v in fields.items() if not n.startswith(b"dead_")}
    assert len(letters) + goods == len(entries), f"{len(letters)} letters and {goods} points"
    for entry_id, flat in zip(ids, entries, strict=True):
        if (own := letters.get(entry_id)) is not None:
            given = dict(zip(flat[::2], flat[1::2], strict=True))
            assert own == {n: v for n, v in given.items() if not n.startswith(b"dead_")}
    for _ in range(goods):
        report.end("enriched" if group == ENRICH else "stored")
    for _ in letters:
        report.end("letter")


def _enriched(batch: list) -> list[Event | PoisonError]:  # type: ignore[type-arg]
    return outcomes_of(batch, EMPTY, _NOW)


def _stored(batch: list) -> list[Event | PoisonError]:  # type: ignore[type-arg]
    points, refusals = points_of(batch, _Lines())  # type: ignore[arg-type]
    assert len(points) + len(refusals) == len(batch)
    assert b"\n" not in b"".join(points)
    return [refusals.get(number, delivery.event) for number, delivery in enumerate(batch)]


class _Lines:
    """A sink of which only the points are asked for."""

    point = staticmethod(line.line)


def _bytes(part: str | bytes | int) -> bytes:
    return part if isinstance(part, bytes) else str(part).encode()

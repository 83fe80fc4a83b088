"""The living house: whose turn it is, what it says, what is known of it. It is handed the time."""

from collections import deque
from collections.abc import Callable, Iterable
from itertools import cycle, islice
from random import Random
from typing import Any

from ingest.simulator import frames, oracle, rhythm
from ingest.simulator.history import MAX_ATTRIBUTES_BYTES, History, Row
from ingest.simulator.house import Thing, things
from ingest.simulator.settings import Settings

SECOND = 1_000_000
"""Microseconds."""

HOME_OFFSET_US = 3_600 * SECOND
"""The home's clock is an hour ahead of UTC."""

WHOLE_SECONDS = 10 * SECOND
"""At each multiple of this a change has no fraction of a second, as one in a million has."""

LATE_US = 20_000
"""Most microseconds that such a change's time lies back."""

ENTITIES_PER_RATE = 20
"""Changes a second for which a home has one entity."""

NOT_RUNNING, STARTING, RUNNING = "NOT_RUNNING", "STARTING", "RUNNING"
"""Phases of Home Assistant as `get_config` names them."""


def day_at(us: int) -> float:
    """Time of day in the home, 0.0 at midnight to 1.0."""
    return (us + HOME_OFFSET_US) / (86_400 * SECOND) % 1.0


class Life:
    """An entity that lives: its last state and how its next is written."""

    __slots__ = (
        "changed", "coarse", "coarse_until", "entity_id", "fast", "head", "recorded_head",
        "rendered", "ring", "state", "template", "thing", "turn",
    )  # fmt: skip

    def __init__(self, thing: Thing, ring: deque[Row], template: bytes, *, demo: bool) -> None:
        self.thing = thing
        self.ring = ring
        self.template = template
        self.entity_id = thing.entity_id.encode()
        self.fast = thing.rhythm in rhythm.NUMBERS and thing.rhythm != "meter" and not demo
        self.state: bytes | None = None
        self.rendered: bytes | None = None
        self.head = self.recorded_head = b""
        self.coarse = b""
        self.coarse_until = self.changed = self.turn = 0

    def dress(self, attributes: dict[str, Any], run: str) -> None:
        """Set the attributes of the states to come."""
        self.head = frames.attributes_head(attributes, run)
        hidden = {*self.thing.unrecorded, "restored", "supported_features", "attribution"}
        kept = {key: value for key, value in attributes.items() if key not in hidden}
        recorded = frames.attributes_head(kept, run)
        self.recorded_head = recorded if len(recorded) < MAX_ATTRIBUTES_BYTES else b""


class Home:
    """Every entity, its history, and the number of the last change.

    Args:
        settings: What the home was told.
        run: Name of this run; stands in each state's attributes.
        log: Takes the oracle's lines of each batch before it is handed out; None: nobody does.
    """

    def __init__(
        self, settings: Settings, run: str, log: Callable[[list[bytes]], None] | None = None
    ) -> None:
        self.settings = settings
        self.run = run
        self.n = 0
        self.phase = RUNNING
        self._log = log
        self._reports = settings.flavour.last_reported
        self._last_us = 0
        self._others = 0
        self._dice = Random(settings.seed)  # noqa: S311 - a shuffle that can be repeated
        listed = things(settings.entities or int(settings.rate / ENTITIES_PER_RATE))
        self.history = History(settings.history_rows, len(listed))
        self.lives: dict[str, Life] = {}
        for thing in listed:
            self.move_in(thing)
        self.shuffle()

    def move_in(self, thing: Thing) -> Life:
        """Make an entity; it has no state yet, and no turn until `shuffle`."""
        template = frames.state_template(thing.entity_id, last_reported=self._reports)
        ring = self.history.ring(thing.entity_id) if thing.recorded else deque[Row](maxlen=1)
        life = self.lives[thing.entity_id] = Life(thing, ring, template, demo=self.settings.demo)
        if not rhythm.moves_attributes(thing):
            life.dress(rhythm.attributes(thing, "", 0.0, 0), self.run)
        return life

    def shuffle(self) -> None:
        """Draw a new order of turns: each entity comes as often as its weight says."""
        turns = [life for life in self.lives.values() for _ in range(life.thing.weight)]
        self._dice.shuffle(turns)
        self._turns = cycle(turns)

    def happen(self, count: int, now_us: int, *, sent: bool) -> list[bytes]:
        """Let so many states change, one after the other.

        Args:
            count: How many.
            now_us: Microseconds since 1970; the changes get times from here on, one microsecond
                apart, and never one that was given before.
            sent: Whether somebody will be told; only the oracle writes it down.

        Returns:
            Event messages without their end, see `frames.finished`.
        """
        whole = now_us - now_us % SECOND
        on_time = now_us - whole < LATE_US and whole % WHOLE_SECONDS == 0
        return self.change(islice(self._turns, count), whole if on_time else now_us, sent=sent)

    def change(self, lives: Iterable[Life], now_us: int, *, sent: bool) -> list[bytes]:
        """Let these change; times, numbers and answer as `happen` says.

        The oracle's lines are written before this returns.
        """
        events: list[bytes] = []
        lines: list[bytes] = []
        fate = oracle.SENT if sent else oracle.HISTORY
        us = self._last_us if self._last_us >= now_us else now_us - 1
        n, log = self.n, self._log
        second_us, second, head = -SECOND, b"", frames.ulid_head(us)
        for life in lives:
            n += 1
            us += 1
            if us - second_us >= SECOND:
                second_us = us - us % SECOND
                second = frames.second(us)
            stamp = (
                b"%b.%06d+00:00" % (second, us - second_us)
                if us > second_us
                else second + b"+00:00"
            )
            events.append(self._changed(life, n, us, stamp, head + b"%016X" % n))
            if log:
                lines.append(oracle.LINE % (n, us, life.entity_id, fate, life.state))
        self.n, self._last_us = n, us
        if log and lines:
            log(lines)
        return events

    def _changed(self, life: Life, n: int, us: int, stamp: bytes, context: bytes) -> bytes:
        if life.fast:
            if us >= life.coarse_until:
                life.coarse = rhythm.coarse(life.thing, day_at(us), life.turn).encode()
                life.coarse_until = us + SECOND
            state = b'"%b%03d"' % (life.coarse, n % 1000)
        else:
            state = self._said(life, n, day_at(us))
        life.turn += 1
        return self._written(life, state, n, (us, stamp, context))

    def _written(self, life: Life, state: bytes, n: int, when: tuple[int, bytes, bytes]) -> bytes:
        us, stamp, context = when
        if state == life.state and not life.thing.force_update:
            changed_stamp = frames.iso(life.changed)
        else:
            life.changed, changed_stamp = us, stamp
        if self._reports:
            filling: tuple[object, ...] = (
                state,
                life.head,
                n,
                changed_stamp,
                stamp,
                stamp,
                context,
            )
        else:
            filling = (state, life.head, n, changed_stamp, stamp, context)
        rendered = life.template % filling
        event = frames.STATE_CHANGED % (
            life.entity_id, life.rendered or b"null", rendered, stamp, context
        )  # fmt: skip
        life.state, life.rendered = state, rendered
        life.ring.append((us, life.changed, state, life.recorded_head, n))
        return event

    def _said(self, life: Life, n: int, day: float) -> bytes:
        thing = life.thing
        if thing.rhythm not in rhythm.NUMBERS:
            word = rhythm.word(thing, life.turn)
            life.dress(rhythm.attributes(thing, word, day, life.turn), self.run)
            return frames.encode(word)
        if thing.rhythm == "meter" and not self.settings.demo:
            return frames.encode(rhythm.metered(thing.low, n))
        return frames.encode(rhythm.coarse(thing, day, life.turn))

    def write(self, life: Life, state: str, now_us: int, *, sent: bool) -> bytes:
        """Give one entity this state and its present attributes; its event without its end."""
        when = self.moment(now_us)
        self.n += 1
        event = self._written(life, frames.encode(state), self.n, when)
        self.note(when[0], life, life.state or b"null", sent=sent)
        return event

    def take_away(self, life: Life, now_us: int, *, sent: bool) -> bytes:
        """Remove an entity from the states; its event (`new_state` null) without its end."""
        us, stamp, context = self.moment(now_us)
        self.n += 1
        event = frames.STATE_CHANGED % (
            life.entity_id, life.rendered or b"null", b"null", stamp, context
        )  # fmt: skip
        life.ring.append((us, us, None, b"", self.n))
        life.state = life.rendered = None
        del self.lives[life.thing.entity_id]
        self.shuffle()
        self.note(us, life, b"null", sent=sent)
        return event

    def moment(self, now_us: int) -> tuple[int, bytes, bytes]:
        """A time that was never given before: microseconds, text, and a context id for it."""
        self._last_us = us = max(self._last_us + 1, now_us)
        self._others += 1
        return us, frames.iso(us), frames.ulid_head(us) + b"Z%015X" % self._others

    def note(self, us: int, life: Life, state: bytes, *, sent: bool) -> None:
        """Tell the oracle of the change that has just got its number."""
        if self._log:
            fate = oracle.SENT if sent else oracle.HISTORY
            self._log([oracle.LINE % (self.n, us, life.entity_id, fate, state)])

    def live_through(self, start_us: int, end_us: int, step_us: int) -> None:
        """Fill the past: everything changes once each step; nobody is told."""
        for us in range(start_us, end_us, step_us):
            self.change(self.lives.values(), us, sent=False)

    def forget(self) -> None:
        """Lose every state without a word, as a restart does; history stays."""
        for life in self.lives.values():
            life.state = life.rendered = None

    def states(self) -> list[bytes]:
        """The present states, each as JSON."""
        return [life.rendered for life in self.lives.values() if life.rendered is not None]

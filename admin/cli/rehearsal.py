"""`habus dead dry-run` and `habus preview`: what would become of an event."""

from datetime import UTC, datetime

from admin.cli import show
from admin.cli.at_desk import with_bus
from admin.cli.dead_letters import checked, object_of
from admin.cli.events import told_of
from admin.config import Settings
from admin.hand_made import event_of
from admin.hints import hint
from admin.preview import Outcome, preview_on
from admin.replay import data_for
from common.bus import STORE, Bus, DeadLetters
from common.event import format_time
from common.sink import open_sink


def dry_run(letter_id: str, data: str | None, *, as_json: bool) -> int:
    """Print what this version would do with a letter; return 1 when it would fall again.

    Raises:
        DeadLetterNotFound: When it is not there (any more).
        MalformedEvent: When the data cannot be what the stage takes.
    """
    edited = None if data is None else object_of(data)

    async def ask(bus: Bus, settings: Settings) -> Outcome:
        letter = await DeadLetters(bus).get(checked(letter_id))
        event = letter.event(None if edited is None else data_for(letter, edited))
        async with open_sink(settings) as sink:
            return await preview_on(bus, sink, event, enriched=letter.stage == STORE)

    return _print(with_bus(ask), as_json=as_json)


def preview(
    event_type: str,
    data: str | None,
    change: tuple[str | None, str | None],
    time_fired: str | None,
    *,
    as_json: bool,
) -> int:
    """Print what would become of an event; return 1 when it would fall."""
    fired = time_fired or format_time(datetime.now(UTC))
    told = told_of(data, change, fired)

    async def ask(bus: Bus, settings: Settings) -> Outcome:
        event = event_of(
            event_type,
            told,
            fired,
            origin="LOCAL",
            home=settings.ha_home_name,
            context_id="preview",
        )
        async with open_sink(settings) as sink:
            return await preview_on(bus, sink, event, enriched=False)

    return _print(with_bus(ask), as_json=as_json)


def _print(outcome: Outcome, *, as_json: bool) -> int:
    is_dead = outcome.error is not None
    if as_json:
        show.as_json(
            {
                "outcome": "dead" if is_dead else "stored",
                "stage": outcome.stage,
                "reason": outcome.reason,
                "error": outcome.error,
                "detail": outcome.detail,
                "event": outcome.event and show.event(outcome.event),
                "line_protocol": outcome.line_protocol,
            }
        )
        return int(is_dead)
    if outcome.event is not None:
        show.pretty(show.event(outcome.event))
    if is_dead:
        show.line(f"It would fall at {outcome.stage}: {outcome.reason}: {outcome.error}")
        show.line(hint(outcome.reason or ""))
    else:
        show.line("It would be written as:")
        show.line(outcome.line_protocol or "nothing")
    return int(is_dead)

"""`habus dead dry-run` and `habus preview`: what would become of an event."""

from datetime import UTC, datetime

from admin.cli import show
from admin.cli.at_desk import with_desk
from admin.cli.dead_letters import checked
from admin.cli.events import object_of, told_of
from admin.desk import Desk
from admin.hand_made import event_of
from admin.hints import hint
from admin.preview import Outcome
from admin.replay import data_for
from common.event import format_time


def dry_run(letter_id: str, data: str | None, *, as_json: bool) -> int:
    """Print what this version would do with a letter; return 1 when it would fall again.

    Raises:
        DeadLetterNotFound: When it is not there (any more).
        MalformedEvent: When the data cannot be what the stage takes.
    """
    edited = None if data is None else object_of(data)

    async def ask(desk: Desk) -> Outcome:
        letter = await desk.letters.get(checked(letter_id))
        return await desk.rehearse(letter, None if edited is None else data_for(letter, edited))

    return _print(with_desk(ask), as_json=as_json)


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

    async def ask(desk: Desk) -> Outcome:
        event = event_of(
            event_type, told, fired, origin="LOCAL", home=desk.home, context_id="preview"
        )
        return await desk.preview(event, enriched=False)

    return _print(with_desk(ask), as_json=as_json)


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

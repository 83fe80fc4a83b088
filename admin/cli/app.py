"""Every command and its options; what a command does is loaded only when it is called."""

import errno
import io
import os
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from admin.cli.dead import dead
from admin.cli.options import Entity, Folder, Json, Limit, Since, Until
from common.errors import InvalidSetting, PipelineError

app = typer.Typer(
    name="habus",
    help="A message bus for Home Assistant: captured, kept safe, enriched, stored.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(dead, name="dead")


def _tell_version(*, is_asked: bool) -> None:
    if is_asked:
        version()
        raise typer.Exit


@app.callback()
def options(
    *,
    _: Annotated[
        bool,
        typer.Option(
            "--version", callback=_tell_version, is_eager=True, help="Print the version of habus."
        ),
    ] = False,
) -> None:
    """Options of habus itself."""


def main() -> None:
    """Run a command; what goes wrong is one sentence and an exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # not every terminal knows every character
    try:
        try:
            app()
        finally:
            sys.stdout.flush()
    except PipelineError as error:
        sys.stderr.write(f"habus: {error}\n")
        sys.exit(2 if isinstance(error, InvalidSetting) else 1)
    except KeyboardInterrupt:
        sys.exit(130)
    except OSError as error:
        if error.errno not in {errno.EPIPE, errno.ENOSPC}:
            raise
        if error.errno == errno.ENOSPC:  # whoever closed a pipe knows that it did
            sys.stderr.write(f"habus: cannot write what was asked for: {error.strerror}\n")
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes once more
        sys.exit(1)


@app.command()
def run(
    *,
    ephemeral: Annotated[
        bool, typer.Option(help="Accept a Redis that keeps nothing when habus ends.")
    ] = False,
    data: Folder = None,
) -> None:
    """Run everything in one process, for a real home.

    Where REDIS_URL is not set, habus starts a Redis of its own in the data folder.
    """
    from admin.standalone import run_home  # noqa: PLC0415

    sys.exit(run_home(data or Path("data"), ephemeral=ephemeral))


@app.command()
def demo(
    *,
    seconds: Annotated[
        float, typer.Option(min=0, envvar="DEMO_SECONDS", help="Stop after so long; 0: never.")
    ] = 0,
    port: Annotated[
        int, typer.Option(min=0, max=65_535, envvar="ADMIN_PORT", help="Port of the dashboard.")
    ] = 8003,
    rate: Annotated[
        float, typer.Option(min=0, max=50_000, help="Events a second; 0: as a home has.")
    ] = 0,
    data: Folder = None,
) -> None:
    """Run everything with a simulated home; needs nothing, leaves nothing behind."""
    started = time.monotonic()
    from admin.standalone import run_demo  # noqa: PLC0415

    sys.exit(run_demo(seconds=seconds, port=port, rate=rate, data=data, started=started))


@app.command()
def doctor(*, as_json: Json = False) -> None:
    """Look at every dependency and say what to change; exit code 1 when something is wrong."""
    from admin.cli.doctor import doctor as ask  # noqa: PLC0415

    sys.exit(ask(as_json=as_json))


@app.command()
def healthcheck(
    stage: Annotated[str, typer.Argument(help="ingest, enrich, store or admin.")],
) -> None:
    """Tell whether a worker of this stage on this host is alive; for Docker.

    Exit code 0 when its heartbeat is fresh, 1 when there is none. While Redis is away nobody can
    tell, and a restart would not help: then 0, too.
    """
    from admin.cli.healthcheck import healthcheck as ask  # noqa: PLC0415

    sys.exit(ask(stage))


@app.command()
def streams(*, as_json: Json = False) -> None:
    """Show length, memory, groups, pending and lag of the streams."""
    from admin.cli.streams import streams as show  # noqa: PLC0415

    show(as_json=as_json)


@app.command()
def tail(
    stream: Annotated[str, typer.Argument(help="raw, inbox, enriched or dead.")] = "enriched",
    *,
    lines: Annotated[
        int, typer.Option("--lines", "-n", min=0, max=10_000, help="Entries to begin with.")
    ] = 10,
    entity: Entity = None,
    follow: Annotated[bool, typer.Option(help="Go on with what comes.")] = True,
    as_json: Json = False,
) -> None:
    """Follow a stream."""
    from admin.cli.streams import tail as show  # noqa: PLC0415

    show(stream, lines, entity, follow=follow, as_json=as_json)


@app.command()
def events(
    *,
    entity: Entity = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 20,
    as_json: Json = False,
) -> None:
    """Show stored events, newest first; of the last 24 hours where no time is said."""
    from admin.cli.events import events as show  # noqa: PLC0415

    show(entity, since, until, limit, as_json=as_json)


@app.command()
def send(  # noqa: PLR0913 - one for each part of an event
    event_type: Annotated[
        str, typer.Argument(help="Home Assistant's event type.")
    ] = "state_changed",
    *,
    data: Annotated[
        str | None, typer.Option(help="JSON object; `-` reads it from standard input.")
    ] = None,
    entity: Annotated[str | None, typer.Option("--entity", "-e", help="Of a state change.")] = None,
    state: Annotated[str | None, typer.Option("--state", "-s", help="What it became.")] = None,
    time_fired: Annotated[
        str | None, typer.Option("--time", help="ISO 8601 with a zone; now when absent.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Hand in an event, as `habus send -e sensor.kitchen -s 21.4`."""
    from admin.cli.events import send as hand_in  # noqa: PLC0415

    hand_in(event_type, data, (entity, state), time_fired, as_json=as_json)


@app.command()
def entities(
    *,
    text: Annotated[str | None, typer.Option(help="Found in id, name, area or device.")] = None,
    limit: Limit = 200,
    as_json: Json = False,
) -> None:
    """Show what is known about each entity: its last state, name, area and device."""
    from admin.cli.entities import entities as show  # noqa: PLC0415

    show(text, limit, as_json=as_json)


@app.command()
def way(
    stream: Annotated[str, typer.Argument(help="raw, inbox, enriched or dead.")],
    entry_id: Annotated[str, typer.Argument(help="Of the event there, as `habus tail` shows it.")],
    *,
    as_json: Json = False,
) -> None:
    """Show where an event is and was on the streams, and how long it took."""
    from admin.cli.entities import way as show  # noqa: PLC0415

    show(stream, entry_id, as_json=as_json)


@app.command()
def backfill(  # noqa: PLR0913 - what to fetch, and how to wait
    *,
    since: Annotated[
        str | None,
        typer.Option("--from", help="From here on: 2026-11-20T15:00:00Z, or 15m, 2h, 7d ago."),
    ] = None,
    until: Annotated[str | None, typer.Option("--to", help="Up to here; now when absent.")] = None,
    entity: Annotated[
        list[str] | None,
        typer.Option(
            "--entity",
            "-e",
            help="Only this one, or a pattern; may be repeated. Name those gone before habus came.",
        ),
    ] = None,
    wait: Annotated[bool, typer.Option(help="Wait until it is done.")] = True,
    listed: Annotated[bool, typer.Option("--list", help="Show all requests.")] = False,
    cancel: Annotated[str | None, typer.Option(help="Forget the request of this name.")] = None,
    as_json: Json = False,
) -> None:
    """Fetch a time from Home Assistant's history again, as `habus backfill --from 2h`.

    Ingest does it, at its leisure, and goes on with it after a restart; Ctrl-C ends only the
    waiting. Exit code 1 when something could not be had.
    """
    from admin.cli import backfill as command  # noqa: PLC0415

    if listed:
        command.listed(as_json=as_json)
    elif cancel is not None:
        command.cancel(cancel, as_json=as_json)
    else:
        sys.exit(command.ask(since, until, entity or [], wait=wait, as_json=as_json))


@app.command()
def preview(  # noqa: PLR0913 - one for each part of an event
    event_type: Annotated[
        str, typer.Argument(help="Home Assistant's event type.")
    ] = "state_changed",
    *,
    data: Annotated[
        str | None, typer.Option(help="JSON object; `-` reads it from standard input.")
    ] = None,
    entity: Annotated[str | None, typer.Option("--entity", "-e", help="Of a state change.")] = None,
    state: Annotated[str | None, typer.Option("--state", "-s", help="What it became.")] = None,
    time_fired: Annotated[
        str | None, typer.Option("--time", help="ISO 8601 with a zone; now when absent.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show what would become of an event, without writing it; exit code 1 when it would fall."""
    from admin.cli.rehearsal import preview as show  # noqa: PLC0415

    sys.exit(show(event_type, data, (entity, state), time_fired, as_json=as_json))


@app.command()
def audit(*, limit: Limit = 20, as_json: Json = False) -> None:
    """Show who replayed, edited, purged or exported what, newest first."""
    from admin.cli.about import audit as show  # noqa: PLC0415

    show(limit, as_json=as_json)


@app.command()
def config(*, as_json: Json = False) -> None:
    """Show the settings as they count here, and where each came from; secrets are masked."""
    from admin.cli.about import config as show  # noqa: PLC0415

    show(as_json=as_json)


@app.command()
def ledger(*, as_json: Json = False) -> None:
    """Show where every event is; exit code 1 when it missed some within the last day."""
    from admin.cli.ledger import ledger as show  # noqa: PLC0415

    sys.exit(show(as_json=as_json))


@app.command()
def version() -> None:
    """Say which habus this is."""
    from common import __version__  # noqa: PLC0415

    typer.echo(__version__)

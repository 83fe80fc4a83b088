"""`habus dead …`: the commands and their options; what they do is loaded when they are called."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from admin.cli.options import All, Json, Letters, Limit, Wanted, Yes, filtered

dead = typer.Typer(no_args_is_help=True, help="Dead letters: what could not go on, and why.")

LetterId = Annotated[str, typer.Argument(help="Its id.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only count them.")]


@dead.command("list")
@filtered
def list_letters(*, limit: Limit = 20, as_json: Json = False, wanted: Wanted) -> None:
    """List dead letters, newest first."""
    from admin.cli import dead_letters  # noqa: PLC0415

    dead_letters.listed(dead_letters.filter_of(wanted), limit, as_json=as_json)


@dead.command()
@filtered
def groups(*, as_json: Json = False, wanted: Wanted) -> None:
    """Count dead letters by cause, and say what to do."""
    from admin.cli import dead_letters  # noqa: PLC0415

    dead_letters.groups(dead_letters.filter_of(wanted), as_json=as_json)


@dead.command()
def show(letter_id: LetterId, *, as_json: Json = False) -> None:
    """Show one letter: the event, and why it died."""
    from admin.cli import dead_letters  # noqa: PLC0415

    dead_letters.show(letter_id, as_json=as_json)


@dead.command("dry-run")
def dry_run(
    letter_id: LetterId,
    *,
    data: Annotated[str | None, typer.Option(help="JSON instead of the event's own data.")] = None,
    as_json: Json = False,
) -> None:
    """Show what this version would do with a letter; exit code 1 when it would fall again."""
    from admin.cli.rehearsal import dry_run as ask  # noqa: PLC0415

    sys.exit(ask(letter_id, data, as_json=as_json))


@dead.command()
@filtered
def replay(  # noqa: PLR0913 - what a person may say
    letters: Letters = None,
    *,
    data: Annotated[
        str | None, typer.Option(help="JSON instead of the event's own data; of one letter.")
    ] = None,
    every: All = False,
    rate: Annotated[
        float, typer.Option(min=0, max=100_000, help="Letters a second; 0: as fast as possible.")
    ] = 0,
    force: Annotated[bool, typer.Option("--force", help="Expired letters, too.")] = False,
    dry: DryRun = False,
    yes: Yes = False,
    as_json: Json = False,
    wanted: Wanted,
) -> None:
    """Put letters back where they fell."""
    from admin.cli import many  # noqa: PLC0415

    choice = many.Choice(letters or [], wanted, every=every, yes=yes, dry=dry)
    many.replay(choice, data, rate=rate, force=force, as_json=as_json)


@dead.command()
@filtered
def purge(  # noqa: PLR0913 - what a person may say
    letters: Letters = None,
    *,
    every: All = False,
    dry: DryRun = False,
    yes: Yes = False,
    as_json: Json = False,
    wanted: Wanted,
) -> None:
    """Delete letters for good."""
    from admin.cli import many  # noqa: PLC0415

    choice = many.Choice(letters or [], wanted, every=every, yes=yes, dry=dry)
    many.purge(choice, as_json=as_json)


@dead.command()
@filtered
def export(
    *,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File; standard output when absent.")
    ] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="CSV instead of JSON lines.")] = False,
    wanted: Wanted,
) -> None:
    """Write letters as JSON lines, oldest first, with all that is known."""
    from admin.cli import many  # noqa: PLC0415

    many.export(wanted, output, as_csv=as_csv)


@dead.command()
def jobs(*, limit: Limit = 20, as_json: Json = False) -> None:
    """List replay jobs, newest first."""
    from admin.cli import many  # noqa: PLC0415

    many.jobs(limit, as_json=as_json)


@dead.command()
def cancel(job: Annotated[str, typer.Argument(help="Its name; see habus dead jobs.")]) -> None:
    """Cancel a replay job; what was put back stays put back."""
    from admin.cli import many  # noqa: PLC0415

    many.cancel(job)

"""Options that several commands share."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

Json = Annotated[bool, typer.Option("--json", help="JSON for programs instead of a table.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Since = Annotated[
    str | None,
    typer.Option(help="From this time on: 2026-11-20T15:00:00Z, or 90s, 15m, 2h, 7d ago."),
]
Until = Annotated[str | None, typer.Option(help="Before this time; as --since.")]
Limit = Annotated[int, typer.Option("--limit", "-n", min=1, max=10_000, help="Most lines.")]
Entity = Annotated[str | None, typer.Option("--entity", "-e", help="Only this entity.")]
Stage = Annotated[str | None, typer.Option(help="Fell at ingest, enrich or store.")]
Reason = Annotated[str | None, typer.Option(help="Code of the cause, as point_rejected.")]
Fingerprint = Annotated[str | None, typer.Option(help="Only letters of the same cause.")]
Text = Annotated[str | None, typer.Option(help="Found in the event or the error.")]
Letters = Annotated[list[str] | None, typer.Argument(help="Ids of letters; or choose by options.")]
All = Annotated[bool, typer.Option("--all", help="Every letter there is.")]
Folder = Annotated[Path | None, typer.Option(help="Folder for what is kept.", show_default=False)]


class Wanted(NamedTuple):
    """The filter of dead letters as it was typed."""

    stage: Stage = None
    reason: Reason = None
    entity: Entity = None
    fingerprint: Fingerprint = None
    text: Text = None
    since: Since = None
    until: Until = None


def filtered(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command that takes `wanted` the options of the filter in its place."""
    own = inspect.signature(command).parameters
    sides = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=kind)
        for name, kind in Wanted.__annotations__.items()
    ]

    def taking(**values: Any) -> None:  # noqa: ANN401 - whatever the options hold
        sides = {name: values.pop(name) for name in Wanted._fields}
        command(wanted=Wanted(**sides), **values)

    kept = [
        side.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for name, side in own.items()
        if name != "wanted"
    ]
    taking.__name__, taking.__doc__ = command.__name__, command.__doc__
    signature = inspect.Signature(kept + sides, return_annotation=None)
    taking.__signature__ = signature  # type: ignore[attr-defined] # typer asks inspect
    taking.__annotations__ = {side.name: side.annotation for side in kept + sides}
    return taking

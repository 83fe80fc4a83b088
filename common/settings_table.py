"""The README's table of settings, made from the classes that read them."""

from collections.abc import Mapping
from pathlib import Path

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from common.config import Settings
from common.environment import may_come_from_file

HEAD = "| variable | meaning | default | read by |\n|---|---|---|---|\n"


def settings_table(rooms: Mapping[str, type[Settings]]) -> str:
    """Render every setting once, sorted by name, as a Markdown table.

    Args:
        rooms: Name of each room → its settings class.
    """
    fields: dict[str, FieldInfo] = {}
    readers: dict[str, list[str]] = {}
    for room, settings in rooms.items():
        for name, field in settings.model_fields.items():
            fields[name] = field
            readers.setdefault(name, []).append(room)
    return HEAD + "".join(
        f"| {_variable(name, fields[name])} | {_cell(fields[name].description or '')} "
        f"| {_default(fields[name])} | {_rooms(readers[name], len(rooms))} |\n"
        for name in sorted(fields)
    )


def _variable(name: str, field: FieldInfo) -> str:
    variable = f"`{name.upper()}`"
    return f"{variable}, `{name.upper()}_FILE`" if may_come_from_file(field) else variable


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    if field.default_factory is not None:
        return "–"  # the meaning says where it comes from
    match field.default:
        case SecretStr() | None | ():
            return "–"
        case tuple() as names:
            return f"`{','.join(names)}`"
        case Path() as path:
            return f"`{path.as_posix()}`"
        case other:
            return f"`{other}`"


def _rooms(readers: list[str], of: int) -> str:
    return "all" if len(readers) == of else ", ".join(readers)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")

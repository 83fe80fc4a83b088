"""`habus audit` and `habus config`."""

import json

from admin.cli import show
from admin.cli.at_desk import with_bus
from admin.config import Settings
from admin.effective import effective
from common.bus import Audit, Bus, Line


def audit(limit: int, *, as_json: bool) -> None:
    """Print who did what to dead letters, newest first."""

    async def ask(bus: Bus, _: Settings) -> list[Line]:
        return await Audit(bus).newest(limit)

    found = with_bus(ask)
    if as_json:
        show.as_json({"audit": found})
        return
    rows = (
        (
            *(line.at[:19], line.who, f"{line.via} {line.address}", line.action, line.count),
            json.dumps(line.what, ensure_ascii=False),
        )
        for line in found
    )
    columns = ("at", "who", "from", "action", "letters#", "which")
    show.table(columns, rows, "Nobody did anything to dead letters.")


def config(*, as_json: bool) -> None:
    """Print the settings as they count for admin and this command."""
    found = effective({"admin": Settings.from_environment()})
    if as_json:
        show.as_json({"settings": [setting.model_dump() for setting in found]})
        return
    rows = ((setting.name, setting.value, setting.origin) for setting in found)
    show.table(("setting", "value", "from"), rows, "")

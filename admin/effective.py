"""The settings as they count, where each came from, and no secret."""

from collections.abc import Mapping

from pydantic import BaseModel, Field, SecretStr

from common.config import Settings
from common.environment import DEFAULT, is_secret
from common.redaction import HIDDEN, Redaction

CHOSEN = "habus"
"""Where a value came from that habus chose, as it does for `habus run` and `habus demo`."""


class Setting(BaseModel):
    """A setting as it counts."""

    name: str = Field(examples=["STORE_BATCH_SIZE"])
    value: str = Field(description="Masked where it is secret.", examples=["5000"])
    origin: str = Field(
        description="`default`, `environment`, `.env`, `file`, or `habus` where it chose itself.",
        examples=["environment"],
    )
    is_default: bool
    is_secret: bool
    description: str = Field(examples=["Most points in one write."])
    read_by: list[str] = Field(
        description="Workers whose settings are known here.", examples=[["store", "admin"]]
    )


def effective(rooms: Mapping[str, Settings]) -> list[Setting]:
    """Every setting once, by name, with the value that counts.

    Args:
        rooms: Name of each worker of this process → its settings.
    """
    found: dict[str, Setting] = {}
    for room, settings in rooms.items():
        redaction = Redaction(settings.secrets())
        origins = settings.origins()
        for name, field in type(settings).model_fields.items():
            variable = name.upper()
            if variable in found:
                found[variable].read_by.append(room)
                continue
            value = getattr(settings, name)
            is_default = not field.is_required() and value == field.get_default(
                call_default_factory=True, validated_data={}
            )
            origin = origins[variable]
            found[variable] = Setting(
                name=variable,
                value=_shown(value, redaction),
                origin=CHOSEN if origin == DEFAULT and not is_default else origin,
                is_default=is_default,
                is_secret=is_secret(field),
                description=" ".join((field.description or "").split()),
                read_by=[room],
            )
    return [found[name] for name in sorted(found)]


def _shown(value: object, redaction: Redaction) -> str:
    if value is None:
        return ""
    if isinstance(value, SecretStr):
        return HIDDEN if value else ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return redaction.text(",".join(map(str, value)))
    return redaction.text(str(value))

"""The commands of the WebSocket API: how a message must look, and what is said when it does not."""

from typing import Any

from ingest.simulator import frames
from ingest.simulator.settings import Flavour, Settings

Shape = dict[str, tuple[type, bool]]
"""Parameters of a command: type, and whether it must be there."""

_HISTORY: Shape = {
    "start_time": (str, True),
    "end_time": (str, False),
    "entity_ids": (list, True),
    "include_start_time_state": (bool, False),
    "significant_changes_only": (bool, False),
    "minimal_response": (bool, False),
    "no_attributes": (bool, False),
}

SHAPES: dict[str, Shape] = {
    "ping": {},
    "supported_features": {"features": (dict, True)},
    "subscribe_events": {"event_type": (str, False)},
    "unsubscribe_events": {"subscription": (int, True)},
    "get_states": {},
    "get_config": {},
    "auth/current_user": {},
    "config/area_registry/list": {},
    "config/floor_registry/list": {},
    "config/label_registry/list": {},
    "config/device_registry/list": {},
    "config/entity_registry/list": {},
    "history/history_during_period": _HISTORY,
    "recorder/info": {},
}
"""Every command that is known."""

OF_THE_RECORDER = frozenset({"history/history_during_period", "recorder/info"})
"""Commands that do not exist without a recorder."""

ALLOWED_TO_ALL = frozenset({
    "area_registry_updated", "component_loaded", "core_config_updated", "device_registry_updated",
    "entity_registry_updated", "floor_registry_updated", "label_registry_updated",
    "service_registered", "service_removed", "state_changed", "themes_updated",
})  # fmt: skip
"""Event types that a user who is no administrator may subscribe to.

Source: homeassistant/auth/permissions/events.py.
"""

UNAUTHORIZED = ("unauthorized", "Unauthorized")
INVALID_AUTH = frames.encode(
    {"type": "auth_invalid", "message": "Invalid access token or password"}
)

_TYPE_NAMES = {str: "str", bool: "bool", int: "int", dict: "a dictionary", list: "list"}


def auth_problem(message: object) -> str | None:
    """What is wrong with the shape of the first message; None: nothing."""
    if not isinstance(message, dict):
        return "Auth message incorrectly formatted: expected a dictionary"
    faults = [
        f"extra keys not allowed @ data['{key}']. Got {value}"
        for key, value in message.items()
        if key not in ("type", "access_token", "api_password")
    ]
    if message.get("type") != "auth":
        got = message.get("type")
        faults.append(f"not a valid value for dictionary value @ data['type']. Got {got!r}")
    return "Auth message incorrectly formatted: " + "\n".join(faults) if faults else None


def refusal(message: object, last_id: int, settings: Settings) -> tuple[bytes, bool] | None:
    """Why a command is not obeyed.

    Args:
        message: What came, decoded.
        last_id: The last id that was accepted on this connection.
        settings: The version that is played, and whether there is a recorder.

    Returns:
        The answer, and whether the id counts as used nevertheless; None: it can be obeyed.
    """
    if not isinstance(message, dict):
        return frames.failure(0, "invalid_format", "Message incorrectly formatted."), False
    message_id, name = message.get("id"), message.get("type")
    newer = settings.flavour.last_reported
    if (
        type(message_id) is not int
        or not message_id
        or (newer and message_id < 0)
        or not name
        or not isinstance(name, str)
    ):
        return frames.failure(message_id, "invalid_format", "Message incorrectly formatted."), False
    if message_id <= last_id:
        return frames.failure(message_id, "id_reuse", "Identifier values have to increase."), False
    if name not in SHAPES or (name in OF_THE_RECORDER and not settings.recorder):
        return frames.failure(message_id, "unknown_command", "Unknown command."), False
    shape = SHAPES[name]
    if not shape and len(message) > len(("id", "type")) and newer:
        fault: str | None = f"extra keys not allowed. Got {message}"
    else:
        fault = misfit(message, shape)
    return (frames.failure(message_id, "invalid_format", fault), True) if fault else None


def misfit(message: dict[str, Any], shape: Shape) -> str | None:
    """What does not fit a command's shape, in Home Assistant's words; None: it fits."""
    for key, value in message.items():
        if key in ("id", "type"):
            continue
        if key not in shape:
            return f"extra keys not allowed @ data['{key}']. Got {value}"
        expected = shape[key][0]
        if type(value) is not expected:
            name = _TYPE_NAMES[expected]
            return f"expected {name} for dictionary value @ data['{key}']. Got {value}"
    missing = [key for key, (_, required) in shape.items() if required and key not in message]
    return f"required key not provided @ data['{missing[0]}']. Got None" if missing else None


def may_subscribe(event_type: str | None, *, admin: bool) -> bool:
    """Whether a user may subscribe to an event type (None: all)."""
    return admin or event_type in ALLOWED_TO_ALL


def config(phase: str, flavour: Flavour) -> dict[str, Any]:
    """Answer of `get_config`."""
    listed: dict[str, Any] = {
        "latitude": 48.2082, "longitude": 16.3738, "elevation": 171, "unit_system": {
            "length": "km", "accumulated_precipitation": "mm", "mass": "g", "pressure": "Pa",
            "temperature": "°C", "volume": "L", "wind_speed": "m/s",
        },
        "location_name": "Simulated Home", "time_zone": "Europe/Vienna",
        "components": ["config", "history", "recorder", "sensor", "websocket_api"],
        "config_dir": "/config", "whitelist_external_dirs": ["/media"],
        "allowlist_external_dirs": ["/media"], "allowlist_external_urls": [],
        "version": flavour.version, "config_source": "yaml", "recovery_mode": False, "state": phase,
        "external_url": None, "internal_url": None, "currency": "EUR", "country": "AT",
        "language": "en", "safe_mode": False,
    }  # fmt: skip
    if flavour.last_reported:
        listed["unit_system"]["area"] = "m²"
        listed |= {"debug": False, "radius": 100}
    return listed


def user(*, admin: bool) -> dict[str, Any]:
    """Answer of `auth/current_user`."""
    known = {"id": "985de5443c5b47f085aed8cf88525c6d", "name": "Owner"}
    return known | {"is_owner": admin, "is_admin": admin, "credentials": [], "mfa_modules": []}


def recorder_info(flavour: Flavour) -> dict[str, Any]:
    """Answer of `recorder/info`."""
    newer = {"db_in_default_location": True} if flavour.last_reported else {}
    return {
        "backlog": 0, **newer, "max_backlog": 65_000, "migration_in_progress": False,
        "migration_is_live": False, "recording": True, "thread_running": True,
    }  # fmt: skip

"""How values move: pure functions of the time of day and of how often an entity has changed."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from ingest.simulator.house import Thing

NUMBERS = frozenset({"wave", "meter", "daylight", "drain", "power"})
"""Rhythms whose state is a number; all others say words."""


def number(thing: Thing, day: float, turn: int) -> float:
    """Where a number stands.

    Args:
        thing: An entity whose rhythm is in `NUMBERS`.
        day: Time of day, 0.0 at midnight to 1.0.
        turn: How often it has changed so far.
    """
    low, span = thing.low, thing.high - thing.low
    sun = max(0.0, -math.cos(day * math.tau))
    if thing.rhythm == "meter":
        return low + turn * span
    if thing.rhythm == "drain":
        return thing.high - turn * 0.1 % span
    if thing.rhythm == "daylight":
        return low + span * sun
    if thing.rhythm == "power":
        evening = math.exp(-(((day - 0.8) / 0.08) ** 2)) + 0.6 * math.exp(
            -(((day - 0.3) / 0.05) ** 2)
        )
        return low + span * min(1.0, 0.1 + 0.7 * evening + 0.2 * abs(math.sin(turn * 12.9898)))
    warmest_at = 0.625
    return low + span * (
        0.5 + 0.47 * math.cos((day - warmest_at) * math.tau) + 0.03 * math.sin(turn)
    )


def coarse(thing: Thing, day: float, turn: int) -> str:
    """A number's text up to the first decimal; the three digits of `n` follow it."""
    return f"{number(thing, day, turn):.1f}"


def numbered(coarse_text: str, n: int) -> str:
    """The state that stands for change `n`: its last three decimals are `n` modulo 1000.

    Example:
        `numbered("21.4", 7_037)` is `"21.4037"`.
    """
    return f"{coarse_text}{n % 1000:03d}"


def metered(low: float, n: int) -> str:
    """The state of a meter, which never falls: it stands at `n` ten-thousandths above its start."""
    return f"{low + n / 10_000:.4f}"


def agrees(value: float, n: int) -> bool:
    """Whether a numeric value is one that change `n` may have.

    True when the last three of its four decimals are `n` modulo 1000.
    """
    return round(abs(value) * 10_000) % 1000 == n % 1000


def word(thing: Thing, turn: int) -> str:
    """The state of an entity that says words: the next of its states in turn."""
    if thing.rhythm == "text":
        return f"{thing.states[turn % len(thing.states)]} {turn}"
    if thing.rhythm == "flapping" and turn % 2:
        return "unavailable"
    return thing.states[turn % len(thing.states)]


def attributes(thing: Thing, state: str, day: float, turn: int) -> dict[str, Any]:
    """All attributes of an entity in a state, in Home Assistant's order (friendly_name late)."""
    moving = _MOVING.get(thing.domain)
    name = {"friendly_name": thing.name} if thing.name else {}
    if state == "unavailable":
        return {**_kept_while_unavailable(thing.attributes), **name}
    moved = moving(thing, state, day, turn) if moving else {}
    return {**thing.attributes, **moved, **name}


def moves_attributes(thing: Thing) -> bool:
    """Whether its attributes change with its state, so that they cannot be written in advance."""
    return thing.rhythm not in NUMBERS


def _kept_while_unavailable(known: Mapping[str, Any]) -> dict[str, Any]:
    kept = ("unit_of_measurement", "device_class", "state_class", "supported_features", "icon")
    return {key: value for key, value in known.items() if key in kept}


def _light(thing: Thing, state: str, day: float, turn: int) -> dict[str, Any]:
    if state != "on":
        return {"color_mode": None, "brightness": None, "hs_color": None, "rgb_color": None}
    hue = round((turn * 47.3 + day * 360) % 360, 3)
    return {
        "color_mode": "hs",
        "brightness": 40 + turn * 31 % 215,
        "hs_color": [hue, thing.low],
        "rgb_color": [turn * 7 % 256, turn * 13 % 256, 80],
    }


def _climate(thing: Thing, state: str, day: float, turn: int) -> dict[str, Any]:
    room = round(20.5 + math.sin(day * math.tau + turn / 9), 1)
    target = None if state == "off" else thing.high
    return {
        "current_temperature": room,
        "temperature": target,
        "hvac_action": "off" if target is None else ("heating" if room < target else "idle"),
    }


def _cover(thing: Thing, state: str, _day: float, _turn: int) -> dict[str, Any]:
    return {"current_position": {"open": thing.high, "closed": thing.low}.get(state, 50.0)}


def _player(thing: Thing, state: str, _day: float, turn: int) -> dict[str, Any]:
    if state == "off":
        return {}
    secret = f"{turn * 0x9E3779B97F4A7C15 % 2**64:016x}" * 4
    return {
        "volume_level": round(turn % 10 / 10, 1),
        "media_title": f"♥♥ Lied Nr. {turn} (3 hours)",
        "media_position": turn * 17 % 300,
        "entity_picture": f"/api/media_player_proxy/{thing.entity_id}?token={secret}&cache={turn}",
    }


def _camera(thing: Thing, _state: str, _day: float, turn: int) -> dict[str, Any]:
    secret = f"{turn * 0xD1B54A32D192ED03 % 2**64:016x}" * 4
    return {
        "access_token": secret,
        "entity_picture": f"/api/camera_proxy/{thing.entity_id}?token={secret}",
    }


def _sun(_thing: Thing, _state: str, day: float, turn: int) -> dict[str, Any]:
    return {
        "elevation": round(-45 * math.cos(day * math.tau), 2),
        "azimuth": round(day * 360, 2),
        "rising": day < 0.5,  # noqa: PLR2004 - noon
        "next_noon_in_turns": turn,
    }


def _weather(_thing: Thing, _state: str, day: float, turn: int) -> dict[str, Any]:
    return {
        "temperature": round(8 - 6 * math.cos(day * math.tau), 1),
        "humidity": 60 + turn % 30,
        "wind_speed": round(abs(math.sin(turn)) * 20, 1),
    }


def _place(_thing: Thing, state: str, _day: float, turn: int) -> dict[str, Any]:
    away = 0.0 if state == "home" else 0.01 + turn % 7 / 100
    return {"latitude": round(48.2082 + away, 6), "longitude": 16.3738, "gps_accuracy": 55}


_MOVING: Mapping[str, Callable[[Thing, str, float, int], dict[str, Any]]] = {
    "light": _light,
    "climate": _climate,
    "cover": _cover,
    "media_player": _player,
    "camera": _camera,
    "sun": _sun,
    "weather": _weather,
    "person": _place,
    "device_tracker": _place,
}

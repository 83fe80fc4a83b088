"""An enriched event without the enrich room: for tests of what stores it."""

from collections.abc import Mapping

import msgspec

from common.enriched import Enriched, Processing, encode
from common.event import LIVE, STATE_CHANGED, Event, event_id, normal_time

WORDS = {"on": 1.0, "off": 0.0, "open": 1.0, "closed": 0.0, "home": 1.0, "not_home": 0.0}
PROCESSING = Processing(steps=("fake",), version="0", processed_at="2026-11-20T00:00:00Z", ms=0.1)


def state_change(
    entity_id: str = "sensor.kitchen",
    state: str | None = "21.4",
    time: str = "2026-11-20T15:44:33.435789+00:00",
    attributes: Mapping[str, object] | None = None,
    **known: object,
) -> Event:
    """Return a state change as it stands in `ha:enriched`; `known` are fields of `Enriched`."""
    available = state not in {None, "unavailable", "unknown"}
    facts: dict[str, object] = {
        "domain": entity_id.partition(".")[0],
        "object_id": entity_id.partition(".")[2],
        "state": state,
        "value": value_of(state) if available else None,
        "available": available,
        **known,
    }
    return _event(STATE_CHANGED, entity_id, time, attributes or {}, facts)


def other(
    event_type: str = "my_custom_event",
    data: Mapping[str, object] | None = None,
    time: str = "2026-11-20T15:44:33.435789+00:00",
    entity_id: str = "",
) -> Event:
    """Return an event of another type as it stands in `ha:enriched`."""
    return _event(event_type, entity_id, time, data or {}, {"available": True})


def of_home_assistant(event: Mapping[str, object]) -> Event:
    """Enrich one of Home Assistant's event objects as far as a sink cares."""
    data = event["data"]
    assert isinstance(data, dict)
    if event["event_type"] != STATE_CHANGED:
        return other(str(event["event_type"]), data, normal_time(str(event["time_fired"])))
    new = data["new_state"] or {}
    attributes = new.get("attributes", {})
    return state_change(
        data["entity_id"],
        new.get("state"),
        normal_time(str(new.get("last_updated") or event["time_fired"])),
        attributes,
        unit=text_of(attributes.get("unit_of_measurement")),
        device_class=text_of(attributes.get("device_class")),
        friendly_name=text_of(attributes.get("friendly_name")),
    )


def value_of(state: str | None) -> float | None:
    """A state as a finite number, if it is one."""
    if state in WORDS:
        return WORDS[state]
    try:
        value = float(state or "")
    except ValueError:
        return None
    return value if abs(value) < float("inf") else None


def text_of(value: object) -> str | None:
    """An attribute as text; None where there is none."""
    return None if value in (None, "") else str(value)


def _event(
    event_type: str,
    entity_id: str,
    time: str,
    attributes: Mapping[str, object],
    facts: Mapping[str, object],
) -> Event:
    enriched = Enriched(
        **facts,  # type: ignore[arg-type]
        attributes=msgspec.Raw(msgspec.json.encode(attributes)),
        quality=(),
        processing=PROCESSING,
    )
    return Event(
        id=event_id("home", event_type, entity_id, time),
        type=event_type,
        entity_id=entity_id,
        time=time,
        source=LIVE,
        home="home",
        data=encode(enriched),
    )

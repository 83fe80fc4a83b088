"""What the simulated home answers to each command that it obeys."""

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import msgspec

from ingest.simulator import commands, frames, registries
from ingest.simulator.history import Question, is_entity_id, microseconds_of, visible_until
from ingest.simulator.home import SECOND

if TYPE_CHECKING:
    from ingest.simulator.client import Client

Message = dict[str, Any]

HOME_ZONE = ZoneInfo("Europe/Vienna")
"""A time without a zone is meant so."""

HUGE_BYTES = 20_000_000
"""Size of a history that is huge."""

HISTORY_COMMAND = "history/history_during_period"


def answer(client: "Client", message: Message) -> bytes | None:
    """The answer to a command that nothing speaks against; None: it comes later."""
    return ANSWERS[message["type"]](client, message)


def now_us() -> int:
    """Microseconds since 1970."""
    return time.time_ns() // 1_000


def _ping(_client: "Client", message: Message) -> bytes:
    return frames.encode({"id": message["id"], "type": "pong"})


def _features(client: "Client", message: Message) -> bytes:
    client.outbox.coalesces = bool(message["features"].get("coalesce_messages"))
    return _result(message, None)


def _subscribe(client: "Client", message: Message) -> bytes:
    event_type = message.get("event_type")
    if not commands.may_subscribe(event_type, admin=client.household.settings.admin):
        return frames.failure(message["id"], *commands.UNAUTHORIZED)
    client.subscriptions[message["id"]] = event_type
    return _result(message, None)


def _unsubscribe(client: "Client", message: Message) -> bytes:
    if message["subscription"] not in client.subscriptions:
        return frames.failure(message["id"], "not_found", "Subscription not found.")
    del client.subscriptions[message["subscription"]]
    return _result(message, None)


def _states(client: "Client", message: Message) -> bytes:
    states = client.household.home.states()
    padding = int(client.household.mischief.states_mb * 1e6)
    if padding and states:
        padded = b'"attributes":{"padding":"' + b"x" * padding + b'",'
        states[0] = states[0].replace(b'"attributes":{', padded, 1)
    return frames.RESULT % (message["id"], b"[" + b",".join(states) + b"]")


def _config(client: "Client", message: Message) -> bytes:
    household = client.household
    return _result(message, commands.config(household.home.phase, household.settings.flavour))


def _user(client: "Client", message: Message) -> bytes:
    return _result(message, commands.user(admin=client.household.settings.admin))


def _listed(list_of: Callable[[int], list[Message]]) -> Callable[["Client", Message], bytes]:
    return lambda client, message: _result(
        message, list_of(client.household.settings.flavour.registries)
    )


def _devices(client: "Client", message: Message) -> bytes:
    listed = registries.devices(client.household.settings.flavour.registries)
    return frames.SPACED_RESULT % (message["id"], frames.encode(listed))


def _entities(client: "Client", message: Message) -> bytes:
    things = [life.thing for life in client.household.home.lives.values()]
    listed = registries.entities(things, client.household.settings.flavour.registries)
    return frames.SPACED_RESULT % (message["id"], frames.encode(listed))


def _recorder(client: "Client", message: Message) -> bytes:
    return _result(message, commands.recorder_info(client.household.settings.flavour))


def _history(client: "Client", message: Message) -> None:
    client.start(_tell_history(client, message))


async def _tell_history(client: "Client", message: Message) -> None:
    failing = client.household.mischief.history
    if failing == "never":
        return
    if failing == "slow":
        await asyncio.sleep(client.household.mischief.history_slow_s)
    if failing == "error":
        client.send(frames.failure(message["id"], "unknown_error", "Unknown error"))
    elif failing == "huge":
        row = b'{"s":"1","a":{"padding":"%b"},"lu":1795189957.539}' % (b"x" * HUGE_BYTES)
        name = frames.encode(message["entity_ids"][0])
        client.send(frames.RESULT % (message["id"], b"{%b:[%b]}" % (name, row)))
    elif failing == "empty":
        client.send(_result(message, {}))
    else:
        client.send(history_answer(client, message))


def history_answer(client: "Client", message: Message) -> bytes:
    """What the recorder knows, or why it does not say so."""
    household, moment = client.household, now_us()
    start = microseconds_of(message["start_time"], HOME_ZONE)
    if start is None:
        return frames.failure(message["id"], "invalid_start_time", "Invalid start_time")
    end_text = message.get("end_time")
    end = microseconds_of(end_text, HOME_ZONE) if end_text else moment
    if end is None:
        return frames.failure(message["id"], "invalid_end_time", "Invalid end_time")
    if start > moment:
        return _result(message, {})
    known = household.home.lives
    if not all(
        isinstance(each, str) and (each in known or is_entity_id(each))
        for each in message["entity_ids"]
    ):
        return frames.failure(message["id"], "invalid_entity_ids", "Invalid entity_ids")
    question = msgspec.convert(message, Question)
    committed = visible_until(moment, household.settings.commit_s)
    oldest = moment - int(household.settings.history_h * 3_600 * SECOND)
    window = (max(start, oldest), min(end, committed + 1))
    rows = household.home.history.answer(question, window, household.settings.flavour)
    return frames.RESULT % (message["id"], rows)


def _result(message: Message, result: object) -> bytes:
    return frames.RESULT % (message["id"], frames.encode(result))


ANSWERS: dict[str, Callable[["Client", Message], bytes | None]] = {
    "ping": _ping,
    "supported_features": _features,
    "subscribe_events": _subscribe,
    "unsubscribe_events": _unsubscribe,
    "get_states": _states,
    "get_config": _config,
    "auth/current_user": _user,
    "config/area_registry/list": _listed(registries.areas),
    "config/floor_registry/list": _listed(registries.floors),
    "config/label_registry/list": _listed(registries.labels),
    "config/device_registry/list": _devices,
    "config/entity_registry/list": _entities,
    HISTORY_COMMAND: _history,
    "recorder/info": _recorder,
}
"""How each command is answered."""

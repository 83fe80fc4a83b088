"""Answers of Home Assistant, broken: history, states, registries."""

import json
import random
from collections.abc import Iterator
from typing import Any

import msgspec

from common.errors import MalformedEvent
from common.registry import EMPTY, Registry
from ingest.parse import of_history_row, of_state, split_history, split_states
from tests.fakes.recordings import VERSIONS, frames
from tests.fuzz.mutation import Mutator
from tests.fuzz.report import Report, in_time
from tests.fuzz.through import bury, way_of

HOME = "home"


async def tries(seed: int, count: int) -> Report:
    """Read so many broken answers, and send on what they carry."""
    dice = random.Random(seed)  # noqa: S311 - chance that can be repeated
    mutator = Mutator(dice)
    histories, states, registries = list(_histories()), list(_states()), _registries()
    kinds = list(registries)
    report = Report()
    for _ in range(count):
        match dice.randrange(5):
            case 0 | 1:
                result = mutator.broken(dice.choice(histories))
                with report.trying(result), in_time():
                    _history(result, report)
            case 2 | 3:
                result = mutator.broken(dice.choice(states))
                with report.trying(result), in_time():
                    _snapshot(result, report)
            case _:
                kind = dice.choice(kinds)
                text = mutator.broken(dice.choice(registries[kind]))
                with report.trying(text), in_time():
                    _registry({kind: text, "version": mutator.broken(b"1795189957540")}, report)
    return report


def _history(result: bytes, report: Report) -> None:
    try:
        found = split_history(result)
    except MalformedEvent:
        report.end("no history: a gap")
        return
    for entity_id, rows in found.items():
        previous = None
        for row in rows:
            try:
                event = of_history_row(entity_id, row, previous, HOME)
            except MalformedEvent as error:
                report.end(bury([], error))
            else:
                report.end(way_of(event))
            previous = row


def _snapshot(result: bytes, report: Report) -> None:
    try:
        states = split_states(result)
    except MalformedEvent:
        report.end("no states: told, asked again at the next connect")
        return
    for state in states:
        try:
            event = of_state(state, HOME)
        except MalformedEvent as error:
            report.end(bury([], error))
        else:
            report.end(way_of(event))


def _registry(fields: dict[str, bytes], report: Report) -> None:
    try:
        registry = Registry.decode(fields)
    except MalformedEvent:
        report.end("no registry: told, the last one stays")
        return
    for entity_id in [entity.entity_id for entity in registry.entities][:3]:
        registry.placement(entity_id)
    assert Registry.decode(registry.encode()).entities == registry.entities
    assert registry is not EMPTY
    report.end("registry")


def _answers(*commands: str) -> Iterator[tuple[str, Any]]:
    """(command, result) of each recorded answer to one of these commands."""
    for version in VERSIONS:
        for name in ("a_auth_states_registries", "d_history"):
            asked: dict[tuple[object, object], str] = {}
            for frame in frames(version, name):
                try:
                    message = json.loads(str(frame.get("text", "")))
                except ValueError:
                    continue
                if not isinstance(message, dict):
                    continue
                key = (frame.get("conn"), message.get("id"))
                if frame.get("dir") == "send":
                    asked[key] = message.get("type", "")
                elif message.get("type") == "result" and asked.get(key) in commands:
                    yield asked[key], message.get("result")


def _histories() -> Iterator[bytes]:
    for _, result in _answers("history/history_during_period"):
        for entity_id, rows in (result or {}).items():
            yield msgspec.json.encode({entity_id: rows[:3]})
        yield msgspec.json.encode({key: rows[:2] for key, rows in list((result or {}).items())[:4]})


def _states() -> Iterator[bytes]:
    for _, result in _answers("get_states"):
        for start in range(0, len(result), 2):
            yield msgspec.json.encode(result[start : start + 2])


def _registries() -> dict[str, list[bytes]]:
    found: dict[str, list[bytes]] = {}
    kinds = {
        f"config/{word}_registry/list": kind
        for word, kind in zip(
            ("area", "floor", "label", "device", "entity"), Registry.KINDS, strict=True
        )
    }
    for command, result in _answers(*kinds):
        for start in range(0, len(result or []), 3):
            text = msgspec.json.encode(result[start : start + 3])
            found.setdefault(kinds[command], []).append(text)
    return found

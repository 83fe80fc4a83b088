"""Requests to admin: broken bodies, strange parameters, and streams that strangers filled."""

import json
import random
from typing import Any, Final

import httpx

from common.bus import Bus
from tests.fakes.desk import admin_on, routes_of
from tests.fuzz.entries import Strange, redis_for_strangers
from tests.fuzz.mutation import Mutator
from tests.fuzz.report import Report

FILLED_EVERY: Final = 200
"""Requests after which strangers write again."""

_EVENT: Final = {
    "event_type": "state_changed",
    "time_fired": "2026-11-20T15:44:33.435789+00:00",
    "data": {
        "entity_id": "sensor.kitchen",
        "old_state": None,
        "new_state": {
            "entity_id": "sensor.kitchen",
            "state": "21.4",
            "attributes": {"unit_of_measurement": "°C"},
            "last_updated": "2026-11-20T15:44:33.435789+00:00",
        },
    },
}
_BODIES: Final = (
    _EVENT,
    {"data": _EVENT},
    {"data": {"domain": "sensor", "state": "1", "available": True, "attributes": {}}},
    {
        "stage": "store",
        "reason": "x",
        "entity_id": "sensor.a",
        "expected_count": 1,
        "dry_run": True,
    },
    {"filter": {"stage": "enrich", "text": "x"}, "expected_count": 0, "rate": 10},
    {"start_time": "2026-11-20T15:44:33Z", "end_time": None, "fingerprint": "3f6b1c2e4a90"},
    {},
    [],
)
_PARAMETERS: Final = (
    *("start_time", "end_time", "entity_id", "limit", "cursor", "stream", "stage", "reason"),
    *("fingerprint", "text", "force", "rate", "before", "after", "id", ""),
)
_VALUES: Final = (
    *("0", "1", "-1", "1000", "99999999999999999999", "1e3", "nan", "0-0", "1795189957539-0"),
    *("9" * 19 + "-" + "9" * 19, "enrich", "store", "dead", "raw", "sensor.kitchen", "*", "true"),
    *("2026-11-20T15:44:33Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59-14:00", "now", ""),
)
_ENDLESS: Final = ("live",)
"""Parts of paths whose answer does not end."""


async def tries(seed: int, count: int) -> Report:
    """Ask so many things; each answer is one of those that the contract knows."""
    dice = random.Random(seed)  # noqa: S311 - chance that can be repeated
    mutator, strange = Mutator(dice), Strange(dice)
    report = Report()
    async with redis_for_strangers() as bus, admin_on(_url(bus)) as admin:
        routes = [
            (method, path)
            for method, path in routes_of(admin.app)
            if not any(word in path for word in _ENDLESS) and method != "HEAD"
        ]
        for number in range(count):
            if number % FILLED_EVERY == 0:
                letters = await _fill(bus, strange)
            method, path = dice.choice(routes)
            path = _path(path, letters, dice, mutator)
            names = [name for name in _PARAMETERS if dice.random() < 0.15]
            query = {name: _value(dice, mutator) for name in names}
            body = mutator.broken(json.dumps(dice.choice(_BODIES)).encode())
            try:
                request = admin.client.build_request(
                    *(method, path),
                    params=query if method == "GET" or dice.random() < 0.3 else None,
                    content=body if method in {"POST", "DELETE", "PUT"} else None,
                    headers=_headers(dice),
                )
            except (httpx.InvalidURL, UnicodeEncodeError):  # no client could send it
                request = admin.client.build_request(method, "/api/v1/ledger")
            with report.trying(f"{method} {request.url} {body[:3000]!r}"):
                answer = await admin.client.send(request)
                _check(answer)
                report.end(str(answer.status_code))
    return report


def _check(answer: httpx.Response) -> None:
    assert answer.status_code not in {500, 503}, f"{answer.status_code}: {answer.text[:500]}"
    if answer.status_code >= 400:
        said = answer.json()
        assert said["success"] is False
        assert said["error"]["code"]
        assert said["error"]["message"]
        assert isinstance(said["error"]["details"], dict)
        assert said["timestamp"]
        assert said["correlation_id"] == answer.headers["x-correlation-id"]


async def _fill(bus: Bus, strange: Strange) -> list[str]:
    """Empty Redis and let strangers fill it; return ids of dead letters."""
    await bus.command("FLUSHALL")
    streams = (bus.keys.raw, bus.keys.inbox, bus.keys.enriched)
    await bus.commands(
        *(("XADD", key, "*", *strange.entry()) for key in streams for _ in range(5)),
    )
    for stage in ("ingest", "enrich", "store"):
        names = ("pid", "counters", "latency", "dependencies", "started", "beat", "version")
        said = [part for name in names for part in (name, strange.word())]
        await bus.command("HSET", bus.keys.worker(stage, "stranger"), *said)
    ids = await bus.commands(*(("XADD", bus.keys.dead, "*", *strange.letter()) for _ in range(20)))
    return [entry_id.decode() for entry_id in ids]


def _path(path: str, letters: list[str], dice: random.Random, mutator: Mutator) -> str:
    """Put something where a route has a name in braces."""
    parts = []
    for part in path.split("/"):
        if not part.startswith("{"):
            parts.append(part)
        elif "letter" in part and dice.random() < 0.8:
            parts.append(dice.choice(letters))
        else:
            text = dice.choice((*_VALUES, mutator.text()[:200]))
            parts.append("".join(f"%{byte:02x}" for byte in text.encode(errors="replace")) or "x")
    return "/".join(parts)


def _value(dice: random.Random, mutator: Mutator) -> str:
    text = dice.choice(_VALUES) if dice.random() < 0.7 else mutator.text()[:2000]
    return text.encode(errors="replace").decode()


def _headers(dice: random.Random) -> dict[str, str]:
    kind = dice.choice(
        ("application/json",) * 6 + ("text/plain", "application/x-www-form-urlencoded")
    )
    return {"Content-Type": kind, "X-Correlation-ID": dice.choice(("", "abc", "x" * 300, "a b\tc"))}


def _url(bus: Bus) -> str:
    details: dict[str, Any] = bus._redis.connection_pool.connection_kwargs
    return f"redis://{details['host']}:{details['port']}/0"

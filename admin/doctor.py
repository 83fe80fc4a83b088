"""Looks at every dependency, and says what to change."""

import asyncio
import json
import os
import shutil
import ssl
import urllib.error
import urllib.request
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http.client import HTTPException
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import urlsplit

import msgspec

from admin import own_redis
from admin.config import Settings
from admin.durability import weaknesses
from admin.health import missed
from common.bus import INGEST, STAGES, STORE, Bus, Keys, Streams, connect
from common.bus.entry import none_before
from common.bus.server import OLDEST_REDIS, ServerInfo, describe
from common.errors import BusUnavailable, InvalidSetting, MalformedEvent, SinkUnavailable
from common.event import format_time, normal_time, parse_time
from common.heartbeat import UP, Pulse, read_pulses
from common.ledger import read_ledger
from common.sink import open_sink

ASK_S: Final = 10.0
"""Seconds that Home Assistant has to answer."""

SKEW_S: Final = 3.0
"""Seconds that two clocks may differ; Home Assistant tells its own in whole seconds."""

LOOK_BACK: Final = timedelta(hours=1)
"""Age of what store wrote that is looked for in the sink: less than any bucket keeps."""

LOOKED_FOR, MOST_SHOWN = 20, 1000
"""Events that store wrote of which one must be found, among so many that the sink shows."""

ELSEWHERE: Final = {
    "influxdb": "INFLUXDB_TOKEN is of another organisation than INFLUXDB_ORG, or a DBRP mapping"
    " leads INFLUXDB_BUCKET elsewhere: look at influx v1 dbrp list",
    "sqlite": "STORE_SQLITE_PATH is not the file of store",
}
"""Sink → why it does not show what store wrote."""

LITTLE_BYTES, TOO_LITTLE_BYTES = 2 * 2**30, 200 * 2**20
"""Free bytes of the data folder below which there is a warning, or a fault."""

Verdict = Literal["fine", "warning", "wrong"]


class Finding(msgspec.Struct, frozen=True):
    """What was found about one thing.

    Attributes:
        about: `redis`, `ledger`, `dead_letters`, `sink`, `home_assistant`, `clock`, `disk`,
            `workers`, `settings`.
        text: What was seen.
        advice: What to change; empty when it is fine.
    """

    verdict: Verdict
    about: str
    text: str
    advice: str = ""


class Home(msgspec.Struct, frozen=True):
    """How to ask Home Assistant; without a token nobody can.

    Attributes:
        url: Of its WebSocket.
        token: Long-lived access token; empty when none is set here.
        ca_file: Certificate authority of its own.
    """

    url: str
    token: str = ""
    ca_file: Path | None = None


async def findings(settings: Settings, home: Home, data: Path) -> AsyncGenerator[Finding]:
    """Look at one thing after the other.

    Args:
        settings: Of admin.
        home: Home Assistant.
        data: Folder of the spool.
    """
    async for found in _redis(settings):
        yield found
    async for found in _sink(settings):
        yield found
    heard = None if home.token else await _heard_by_ingest(settings)
    for found in [heard] if heard else await asyncio.to_thread(of_home, home):
        yield found
    yield of_disk(data)
    for warning in settings.warnings:
        yield Finding("warning", "settings", warning)


def of_server(server: ServerInfo) -> list[Finding]:
    """Judge a Redis by what it says about itself."""
    found = [Finding("fine", "redis", f"Redis {server.version or 'of unknown version'} answers")]
    if server.is_too_old:
        advice = "take Redis {}.{} or newer, or Valkey".format(*OLDEST_REDIS)
        found = [_wrong("redis", f"Redis {server.version} is too old", advice)]
    found += [
        Finding("wrong" if one.is_wrong else "warning", "redis", one.text, one.advice)
        for one in weaknesses(server)
    ]
    if server.appendonly and server.appendfsync in {None, "always"}:
        text = f"it keeps what it has (AOF, {server.appendfsync or 'n/a'})"
        found.append(Finding("fine", "redis", text))
    if server.maxmemory_policy == "noeviction":
        limit, used = server.maxmemory_bytes or 0, server.used_bytes or 0
        room = f"{used / 2**20:.0f} of {limit / 2**20:.0f} MB used" if limit else "no maxmemory"
        found.append(Finding("fine", "redis", f"when full it refuses (noeviction), {room}"))
    found.append(_clock("Redis", server.ahead_s))
    return found


def of_home(home: Home) -> list[Finding]:
    """Ask Home Assistant with the token, once: more could get our address banned."""
    about = "home_assistant"
    if not home.token:
        advice = "run habus doctor where ingest runs, or set it"
        return [Finding("warning", about, "HA_ACCESS_TOKEN is not set here", advice)]
    try:
        told, date = _answer_of(home)
    except _NoAnswer as none:
        return [_wrong(about, none.why, none.advice)]
    version = told.get("version", "of unknown version") if isinstance(told, dict) else "?"
    fine = Finding("fine", about, f"Home Assistant {version} takes the token")
    try:
        ahead_s = (parsedate_to_datetime(date) - datetime.now(UTC)).total_seconds()
    except (TypeError, ValueError):  # it says no time, or one without a zone
        return [fine]
    return [fine, _clock("Home Assistant", ahead_s)]


class _NoAnswer(Exception):
    """Home Assistant did not tell its configuration, or could not be asked."""

    def __init__(self, why: str, advice: str) -> None:
        super().__init__(why)
        self.why = why
        self.advice = advice


def _answer_of(home: Home) -> tuple[Any, str]:
    """What Home Assistant says, and its header `Date`.

    Raises:
        _NoAnswer: When it does not, and what to do about it.
    """
    url = rest_url(home.url)
    headers = {"Authorization": f"Bearer {home.token}"}
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 - http(s) by its making
    try:
        context = ssl.create_default_context(cafile=home.ca_file) if home.ca_file else None
        with urllib.request.urlopen(request, timeout=ASK_S, context=context) as answer:  # noqa: S310
            return json.loads(answer.read()), answer.headers.get("Date", "")
    except urllib.error.HTTPError as error:
        with error:
            if error.code in {401, 403}:
                advice = "make a new long-lived access token and set HA_ACCESS_TOKEN"
                raise _NoAnswer(f"{url} refuses the token ({error.code})", advice) from error
            raise _NoAnswer(f"{url} answers {error.code}", "check HA_WEBSOCKET_URL") from error
    except (OSError, HTTPException, ValueError) as error:
        reason = str(getattr(error, "reason", None) or error) or type(error).__name__
        why = f"{url} does not answer as Home Assistant does: {reason.strip()}"
        raise _NoAnswer(why, "check HA_WEBSOCKET_URL") from error


def rest_url(websocket_url: str) -> str:
    """Return where Home Assistant's REST API tells its configuration.

    Source: https://developers.home-assistant.io/docs/api/rest
    """
    url = urlsplit(websocket_url)
    scheme = {"ws": "http", "wss": "https"}[url.scheme]
    path = url.path.removesuffix("/websocket").removesuffix("/api")
    return f"{scheme}://{url.netloc}{path}/api/config"


def of_disk(folder: Path) -> Finding:
    """Judge whether the spool's folder takes anything, and how much."""
    there = next(place for place in (folder, *folder.absolute().parents) if place.is_dir())
    if not os.access(there, os.W_OK):
        return _wrong(
            "disk", f"{there} cannot be written", "make it writable for whoever runs habus"
        )
    free = shutil.disk_usage(there).free
    text = f"{free / 2**30:.1f} GB free for {folder}"
    if free < TOO_LITTLE_BYTES:
        return _wrong("disk", text, "free some space: the spool cannot take what Redis cannot")
    if free < LITTLE_BYTES:
        return Finding("warning", "disk", text, "free some space")
    return Finding("fine", "disk", text)


async def _redis(settings: Settings) -> AsyncGenerator[Finding]:
    try:
        async with connect(settings.redis_url, Keys(settings.bus_prefix)) as bus:
            for found in of_server(await describe(bus)):
                yield found
            async for found in _ledger(bus):
                yield found
            for found in _workers(await read_pulses(bus)):
                yield found
    except (BusUnavailable, InvalidSetting) as error:
        yield _wrong("redis", str(error), own_redis.hint(settings))


async def _ledger(bus: Bus) -> AsyncGenerator[Finding]:
    if misplaced := await bus.wrong_kinds():
        yield _wrong("redis", misplaced, "")
        return
    ledger = await read_ledger(bus)
    if found := missed(ledger, datetime.now(UTC)):
        verdict: Verdict = "wrong" if ledger.unaccounted else "warning"
        yield Finding(verdict, "ledger", "; ".join(found), "look at habus ledger, and at the log")
    else:
        yield Finding("fine", "ledger", "every event is accounted for")
    if ledger.dead:
        text = f"{ledger.dead} dead letters wait for somebody"
        yield Finding("warning", "dead_letters", text, "look at habus dead groups")


def _workers(pulses: Sequence[Pulse]) -> Iterator[Finding]:
    heard = {pulse.stage for pulse in pulses}
    if silent := [stage for stage in STAGES if stage not in heard]:
        text = f"no heartbeat of {', '.join(silent)}"
        yield Finding("warning", "workers", text, "start them: habus run, or docker compose up -d")
    else:
        yield Finding("fine", "workers", "all four are alive")
    for pulse in pulses:  # a real write may fail where the empty one of `check` does not
        if pulse.stage == STORE and (state := pulse.dependencies.get("sink", UP)) != UP:
            yield _wrong("sink", f"{pulse.name} says: {state}", "")


async def _heard_by_ingest(settings: Settings) -> Finding | None:
    """What ingest's heartbeat says of Home Assistant, for where no token is set: in a container."""
    try:
        async with connect(settings.redis_url, Keys(settings.bus_prefix)) as bus:
            pulses = await read_pulses(bus, INGEST)
    except (BusUnavailable, InvalidSetting):
        return None
    for state in (pulse.dependencies.get("home_assistant") for pulse in pulses):
        if state == UP:
            return Finding("fine", "home_assistant", "ingest is connected to it")
        if state:
            return _wrong("home_assistant", f"ingest says: {state}", "")
    return None


async def _sink(settings: Settings) -> AsyncGenerator[Finding]:
    """Judge whether the sink takes points, and whether it shows those that store has written."""
    now = datetime.now(UTC)
    stored = await _stored_between(now - LOOK_BACK, now, settings)
    start, end = (parse_time(take(stored)) for take in (min, max)) if stored else (now, now)
    async with open_sink(settings) as sink:
        try:
            yield Finding("fine", "sink", await sink.check())
            shown = await sink.events(start, end + timedelta(microseconds=1), limit=MOST_SHOWN)
        except SinkUnavailable as error:
            yield _wrong("sink", str(error), "")
            return
    makes_all_points = settings.store_schema == "clean"  # ha makes none of what is unavailable
    if stored and makes_all_points and not stored & {event.time for event in shown}:
        text = "what store wrote last is not found in it"
        yield Finding("warning", "sink", text, ELSEWHERE[settings.store_sink])


async def _stored_between(oldest: datetime, now: datetime, settings: Settings) -> set[str]:
    """Times of the newest events that store has written, as far as they can be told."""
    try:
        async with connect(settings.redis_url, Keys(settings.bus_prefix)) as bus:
            streams = Streams(bus)
            groups = (await streams.info("enriched")).groups
            store = next((group for group in groups if group.name == STORE), None)
            if store is None or store.pending or none_before(store.last_delivered_id):
                return set()
            entries = await streams.newest("enriched", LOOKED_FOR, store.last_delivered_id)
    except (BusUnavailable, InvalidSetting):
        return set()
    times = set()
    for entry in entries:
        with suppress(MalformedEvent):
            times.add(normal_time(entry.fields.get("time", "")))
    return {time for time in times if format_time(oldest) <= time <= format_time(now)}


def _clock(whose: str, ahead_s: float) -> Finding:
    if abs(ahead_s) <= SKEW_S:
        return Finding("fine", "clock", f"{whose}'s clock agrees with ours")
    text = f"{whose}'s clock is {abs(ahead_s):.0f} s {'ahead of' if ahead_s > 0 else 'behind'} ours"
    return Finding("warning", "clock", text, "let both machines set their clocks by NTP")


def _wrong(about: str, text: str, advice: str) -> Finding:
    return Finding("wrong", about, text, advice)

"""What each route answers, on a Redis in memory."""

import asyncio
import json
import math
import time

import pytest
from prometheus_client.parser import text_string_to_metric_families

from common.bus import Consumer
from common.errors import MalformedEvent, PointRejected, SinkUnavailable
from common.event import event_id, parse_time
from common.heartbeat import Heartbeat
from common.ledger import Ledger
from common.registry import Area, Entity, Registry
from common.sink import StoredEvent
from tests.fakes.bus import flat_of
from tests.fakes.enriched import state_change

API = "/api/v1"
TIME = "2026-11-20T15:44:33.435789+00:00"
CHANGE = {
    "event_type": "state_changed",
    "time_fired": "2026-11-20T16:44:34+01:00",
    "data": {
        "entity_id": "sensor.kitchen",
        "new_state": {"state": "21.4", "last_updated": TIME},
    },
}


async def buried(admin, group="enrich", error=None, count=1):
    """Hand in events and bury them at a stage; return the ids of the letters, oldest first."""
    stop = asyncio.Event()
    stream = admin.bus.keys.inbox if group == "enrich" else admin.bus.keys.enriched
    for number in range(count):
        event = state_change(f"sensor.s{number}")
        fields = {"id": event.id, "type": event.type, "entity_id": event.entity_id}
        fields |= {"time": event.time, "source": "live", "home": "home", "data": event.data}
        await admin.bus.command("XADD", stream, "*", *flat_of(fields))
    await admin.bus.command("HINCRBY", admin.bus.keys.ledger, "captured", count)
    consumer = Consumer(admin.bus, group, "me")
    left = count
    async for batch in consumer.batches(stop):
        cause = error or MalformedEvent("it makes no sense", {"step": "value"})
        await consumer.forward(batch, [cause] * len(batch), admin.bus.keys.dead, stop)
        left -= len(batch)
        if not left:
            break
    found = await admin.bus.command("XRANGE", admin.bus.keys.dead, "-", "+")
    return [entry_id.decode() for entry_id, _ in found]


async def test_sending_appends_what_home_assistant_would_have_fired(admin):
    """A handed-in event stands in the inbox in the format of `ha:raw`, with its own id."""
    answer = await admin.client.post(f"{API}/events", json=CHANGE)
    said = answer.json()
    assert answer.status_code == 202
    assert said["success"] is True
    assert said["event_id"] == event_id("home", "state_changed", "sensor.kitchen", TIME)
    [entry] = (await admin.client.get(f"{API}/streams/inbox/entries")).json()["entries"]
    assert entry["entry_id"] == said["stream_id"]
    data = json.loads(entry["fields"].pop("data"))
    assert entry["fields"] == {
        "v": "1",
        "id": said["event_id"],
        "type": "state_changed",
        "entity_id": "sensor.kitchen",
        "time": TIME,
        "source": "api",
        "home": "home",
    }
    assert data["event_type"] == "state_changed"
    assert data["data"] == CHANGE["data"]
    assert data["origin"] == "LOCAL"
    assert data["time_fired"] == "2026-11-20T15:44:34.000000+00:00"
    assert set(data["context"]) == {"id", "parent_id", "user_id"}


async def test_forwarding_is_the_same_as_sending(admin):
    """`/events/forward` takes the same and answers the same; the same event has the same id."""
    first = (await admin.client.post(f"{API}/events", json=CHANGE)).json()
    second = (await admin.client.post(f"{API}/events/forward", json=CHANGE)).json()
    assert first["event_id"] == second["event_id"]
    assert first["stream_id"] != second["stream_id"]


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"event_type": ""}, "event_type"),
        ({"data": []}, "data"),
        ({"data": {}}, "entity_id"),
        ({"data": {"entity_id": "a.b", "new_state": 1}}, "new_state"),
        ({"data": {"entity_id": "a.b", "new_state": {"state": 21.4}}}, "state"),
        ({"time_fired": "yesterday"}, "ISO 8601"),
        ({"time_fired": 1_795_000_000}, "ISO 8601"),
        ({"time_fired": "2026-11-20T16:44:34"}, "zone"),
        ({"origin": "elsewhere"}, "origin"),
        ({"data": {"entity_id": "a.b", "x": math.nan}}, "JSON"),
        ({"data": {"entity_id": "a.b", "x": "\ud800"}}, "JSON"),
    ],
)
async def test_what_is_no_event_is_refused(admin, change, word):
    """422 names what is wrong, and nothing is appended."""
    body = json.dumps({**CHANGE, **change}).encode()
    answer = await admin.client.post(
        f"{API}/events", content=body, headers={"content-type": "application/json"}
    )
    assert answer.status_code == 422
    assert word in answer.json()["error"]["message"]
    assert "Value error" not in answer.text
    assert (await admin.client.get(f"{API}/ledger")).json()["captured"] == 0


async def test_a_body_that_is_no_json_is_said_so(admin):
    """The message is about the body, and says from where on."""
    answer = await admin.client.post(
        f"{API}/events", content=b"rubbish", headers={"content-type": "application/json"}
    )
    assert answer.status_code == 422
    assert answer.json()["error"]["message"].startswith("body: no JSON, from character 0 on")


async def test_a_body_without_its_header_is_said_so(admin):
    """curl sends a form where nobody says JSON; the message says which header is missing."""
    form = {"content-type": "application/x-www-form-urlencoded"}
    for path in ("events", "dead-letters/purge", "backfills", "enrich/preview"):
        answer = await admin.client.post(f"{API}/{path}", content=json.dumps(CHANGE), headers=form)
        assert answer.status_code == 422
        said = answer.json()["error"]["message"]
        assert said.startswith("body: must be a JSON object, with the header `Content-Type: app")


async def test_entries_come_in_pages(admin):
    """Each entry stands on exactly one page, newest first."""
    answers = [await admin.client.post(f"{API}/events", json=CHANGE) for _ in range(5)]
    sent = [answer.json()["stream_id"] for answer in answers]
    seen, cursor, pages = [], None, 0
    while pages == 0 or cursor:
        parameters = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        page = (await admin.client.get(f"{API}/streams/inbox/entries", params=parameters)).json()
        seen += [entry["entry_id"] for entry in page["entries"]]
        cursor, pages = page["next_cursor"], pages + 1
    assert seen == sent[::-1]
    assert pages == 3


@pytest.mark.parametrize("cursor", ["x", "1", "1-", "٣-٣", "99999999999999999999-0", "(1-1", "+"])
async def test_a_cursor_is_an_entry_id(admin, cursor):
    """Nothing else reaches Redis."""
    answer = await admin.client.get(f"{API}/streams/raw/entries", params={"cursor": cursor})
    assert answer.status_code == 422


async def test_before_the_first_entry_there_is_nothing(admin):
    """Redis does not take that question, so the answer is ours."""
    await buried(admin)
    for path in ("streams/dead/entries", "dead-letters"):
        page = (await admin.client.get(f"{API}/{path}?cursor=0-0")).json()
        assert page.pop("next_cursor") is None
        assert next(iter(page.values())) == []


async def test_a_letter_without_data_is_shown(admin):
    """Whatever stands in the stream of the dead can be looked at."""
    await admin.bus.command("XADD", admin.bus.keys.dead, "1-1", "dead_detail", "no json")
    letter = (await admin.client.get(f"{API}/dead-letters/1-1")).json()
    assert letter["event"] == {}
    assert letter["detail"] == "no json"


async def test_streams_are_told_in_rediss_words(admin):
    """Every stream is listed; what the server cannot tell is null."""
    await buried(admin)
    streams = (await admin.client.get(f"{API}/streams")).json()["streams"]
    assert [stream["name"] for stream in streams] == ["raw", "inbox", "enriched", "dead"]
    inbox = streams[1]
    assert inbox["key"] == "ha:inbox"
    assert inbox["length"] == 1
    assert inbox["memory_bytes"] is None
    assert inbox["groups"][0]["name"] == "enrich"
    assert inbox["groups"][0]["consumers"][0]["name"] == "me"


async def test_the_ledger_balances_and_names_gaps(admin):
    """All counters, what is in flight, `unaccounted`, and the gaps of the watermark."""
    await admin.client.post(f"{API}/events", json=CHANGE)
    gap = {"from": TIME, "to": TIME}
    await admin.bus.write_hash(admin.bus.keys.watermark, {"gaps": json.dumps([gap, 1])})
    ledger = (await admin.client.get(f"{API}/ledger")).json()
    assert ledger["captured"] == ledger["in_flight"] == 1
    assert ledger["unaccounted"] == 0
    assert ledger["gaps"] == [gap]


async def test_stored_events_come_from_the_sink(admin):
    """Range, entity and limit are handed on; what is unknown is absent."""
    admin.sink.kept = [
        StoredEvent(time=f"2026-01-20T15:00:0{n}.000000+00:00", measurement="sensor", entity_id=e)
        for n, e in enumerate(["sensor.a", "sensor.b", "sensor.a"])
    ]
    span = "start_time=2026-01-20T15:00:00Z&end_time=2026-01-20T16:00:00+01:00"
    assert (await admin.client.get(f"{API}/events?{span}")).json() == {"events": []}
    span = "start_time=2026-01-20T15:00:00Z&end_time=2026-01-20T17:00:00+01:00"
    events = (await admin.client.get(f"{API}/events?{span}&limit=2")).json()["events"]
    assert [event["entity_id"] for event in events] == ["sensor.a", "sensor.b"]
    assert set(events[0]) == {"time", "measurement", "entity_id"}
    history = await admin.client.get(f"{API}/entities/sensor.a/history?{span}")
    assert [point["time"][18] for point in history.json()["points"]] == ["0", "2"]
    assert (await admin.client.get(f"{API}/events")).json() == {"events": []}


@pytest.mark.parametrize("time", ["yesterday", "2026-11-20T15:00:00", "0001-01-01T00:00:00+14:00"])
async def test_a_time_needs_a_zone_and_a_year(admin, time):
    """What is no time that the sink could be asked for is refused."""
    answer = await admin.client.get(f"{API}/events", params={"start_time": time})
    assert answer.status_code == 422


async def test_the_sink_away_is_503_in_its_words(admin):
    """The refusal names the sink, says when to ask again, and all else still answers."""
    admin.sink.away = SinkUnavailable("InfluxDB at http://h:8086 is busy", retry_after=7.0)
    for path in (f"{API}/events", f"{API}/entities/sensor.a/history"):
        answer = await admin.client.get(path)
        assert answer.status_code == 503
        assert answer.headers["retry-after"] == "7"
        assert answer.json()["error"]["code"] == "SINK_UNAVAILABLE"
        assert "InfluxDB" in answer.json()["error"]["message"]
    assert (await admin.client.get(f"{API}/ledger")).status_code == 200


async def test_recent_events_are_read_whatever_stands_there(admin):
    """`data` is JSON where it is some, else the text; an odd entry is no reason to fail."""
    deep = "[" * 150 + "]" * 150
    for data in ('{"state": "1"}', "no json", deep):
        await admin.bus.command("XADD", admin.bus.keys.enriched, "*", "data", data, "replays", "x")
    answer = await admin.client.get(f"{API}/events/recent?limit=2")
    assert [event["data"] for event in answer.json()["events"]] == [deep, "no json"]
    answer = await admin.client.get(f"{API}/events/recent?stream=enriched")
    assert answer.json()["events"][2]["data"] == {"state": "1"}


async def test_stats_count_by_stage(admin):
    """Counts are the ledger's; a rate is null until two looks are known."""
    first = (await admin.client.get(f"{API}/events/stats")).json()
    assert first["stages"]["ingest"] == {"count": 0, "per_second": None}
    await admin.client.post(f"{API}/events", json=CHANGE)
    second = (await admin.client.get(f"{API}/events/stats")).json()
    assert second["stages"]["ingest"]["count"] == 1
    assert second["stages"]["ingest"]["per_second"] > 0
    assert set(second["stages"]) == {"ingest", "enrich", "store", "dead"}


async def test_past_rates_are_told_look_by_look(admin):
    """As many rates as times, by stage; before the first look nothing."""
    empty = {"ingest": [], "enrich": [], "store": [], "dead": []}
    told = (await admin.client.get(f"{API}/events/rates")).json()
    assert told == {"times": [], "per_second": empty}
    rates = admin.app.state.desk.rates
    now = time.monotonic()
    for look in range(3):
        rates.add(now - 4 + 2 * look, Ledger(captured=look * 3, enriched=look))
        rates.remember()
    told = (await admin.client.get(f"{API}/events/rates")).json()
    times = [parse_time(when).timestamp() for when in told["times"]]
    assert times == pytest.approx([time.time() - 4, time.time() - 2, time.time()], abs=1)
    assert told["per_second"]["ingest"] == [None, 1.5, 1.5]
    assert told["per_second"]["dead"] == [None, 0.0, 0.0]


async def test_entities_are_those_of_the_registry_and_of_the_stream(admin):
    """What is known from both is joined; the pages are in the order of the ids."""
    registry = Registry(
        areas=(Area("kitchen", "Küche"),),
        entities=(Entity("sensor.a", area_id="kitchen"), Entity("sensor.c")),
        version=3,
    )
    await admin.bus.write_hash(admin.bus.keys.registry, registry.encode())
    for state in ("1", "2"):
        event = state_change("sensor.a", state, unit="°C")
        fields = {"entity_id": event.entity_id, "time": event.time, "data": event.data}
        await admin.bus.command("XADD", admin.bus.keys.enriched, "*", *flat_of(fields))
    await admin.bus.command("XADD", admin.bus.keys.enriched, "*", "entity_id", "sensor.b")
    page = (await admin.client.get(f"{API}/entities?limit=2")).json()
    assert [found["entity_id"] for found in page["entities"]] == ["sensor.a", "sensor.b"]
    kitchen = page["entities"][0]
    assert kitchen["area"] == "Küche"
    assert (kitchen["state"], kitchen["value"], kitchen["unit"]) == ("2", 2.0, "°C")
    assert kitchen["last_seen"] == state_change().time
    rest = (await admin.client.get(f"{API}/entities?cursor={page['next_cursor']}")).json()
    assert [found["entity_id"] for found in rest["entities"]] == ["sensor.c"]
    assert rest["next_cursor"] is None
    found = (await admin.client.get(f"{API}/entities?text=KÜCHE")).json()["entities"]
    assert [one["entity_id"] for one in found] == ["sensor.a"]


async def test_letters_are_listed_by_filter_and_page(admin):
    """Each side of the filter counts; the cursor leads through all that match."""
    ids = await buried(admin, count=3)
    url = f"{API}/dead-letters"
    page = (await admin.client.get(url, params={"limit": 2})).json()
    assert [letter["id"] for letter in page["dead_letters"]] == ids[:0:-1]
    rest = (await admin.client.get(url, params={"cursor": page["next_cursor"]})).json()
    assert [letter["id"] for letter in rest["dead_letters"]] == ids[:1]
    assert rest["next_cursor"] is None
    letter = page["dead_letters"][0]
    matching = {
        "stage": "enrich",
        "reason": "malformed_event",
        "entity_id": "sensor.s2",
        "fingerprint": letter["fingerprint"],
        "text": "MAKES NO",
        "start_time": letter["at"],
    }
    found = (await admin.client.get(url, params=matching)).json()["dead_letters"]
    assert [one["id"] for one in found] == ids[2:]
    for name, other in (
        ("stage", "store"),
        ("reason", "too_large"),
        ("entity_id", "sensor.s9"),
        ("fingerprint", "0"),
        ("text", "elsewhere"),
        ("end_time", letter["at"]),
    ):
        found = (await admin.client.get(url, params={**matching, name: other})).json()
        assert found["dead_letters"] == [], name


async def test_a_letter_tells_all(admin):
    """One letter: its event, and everything that is known about its cause."""
    [letter_id] = await buried(admin)
    letter = (await admin.client.get(f"{API}/dead-letters/{letter_id}")).json()
    assert letter["error"] == "it makes no sense"
    assert letter["detail"] == {"step": "value"}
    assert letter["origin"] == "ha:inbox"
    assert letter["event"]["entity_id"] == "sensor.s0"
    assert letter["event"]["data"]["state"] == "21.4"


async def test_a_letter_is_replayed_once(admin):
    """It goes back to the inbox untouched; the second who asks is told that it is gone."""
    [letter_id] = await buried(admin)
    url = f"{API}/dead-letters/{letter_id}/replay"
    answer = await admin.client.post(url)
    assert answer.status_code == 200
    assert answer.json()["stream"] == "ha:inbox"
    again = await admin.client.post(url)
    assert again.status_code == 404
    assert again.json()["error"]["code"] == "DEAD_LETTER_NOT_FOUND"
    [entry] = (await admin.client.get(f"{API}/streams/inbox/entries?limit=1")).json()["entries"]
    assert entry["entry_id"] == answer.json()["stream_id"]
    assert entry["fields"]["replays"] == "1"
    ledger = (await admin.client.get(f"{API}/ledger")).json()
    assert (ledger["dead"], ledger["replayed"], ledger["unaccounted"]) == (0, 1, 0)


async def test_an_edited_letter_must_make_sense_where_it_goes(admin):
    """For `enrich` it is an event object, for `store` an enriched event; else it stays dead."""
    [letter_id] = await buried(admin)
    url = f"{API}/dead-letters/{letter_id}/replay"
    for data in ({}, {"event_type": 1}):
        assert (await admin.client.post(url, json={"data": data})).status_code == 409
    answer = await admin.client.post(url, json={"data": {"event_type": "state_changed"}})
    assert answer.status_code == 200
    [letter_id] = await buried(admin, "store", PointRejected("no", "too_large"))
    url = f"{API}/dead-letters/{letter_id}/replay"
    assert (await admin.client.post(url, json={"data": {"state": "1"}})).status_code == 409
    edited = json.loads(state_change(state="22").data)
    answer = await admin.client.post(url, json={"data": edited})
    assert answer.json()["stream"] == "ha:enriched"
    [event] = (await admin.client.get(f"{API}/events/recent?limit=1")).json()["events"]
    assert event["data"]["state"] == "22"


async def test_a_letter_is_deleted_once(admin):
    """It is gone for good, and the ledger counts it as purged."""
    [letter_id] = await buried(admin)
    url = f"{API}/dead-letters/{letter_id}"
    assert (await admin.client.delete(url)).json() == {"success": True, "purged": 1}
    assert (await admin.client.delete(url)).status_code == 404
    assert (await admin.client.get(url)).status_code == 404
    ledger = (await admin.client.get(f"{API}/ledger")).json()
    assert (ledger["dead"], ledger["purged"], ledger["unaccounted"]) == (0, 1, 0)


async def test_health_is_told_by_heartbeats(admin):
    """A stage without worker is unhealthy; of one stage the answer is its own."""
    health = (await admin.client.get(f"{API}/health")).json()
    assert health["status"] == "unhealthy"
    assert set(health["dependencies"]) == {"home_assistant", "redis", "influxdb"}
    for stage in ("ingest", "enrich", "store"):
        await Heartbeat(admin.bus, stage, "me").beat()
    health = (await admin.client.get(f"{API}/health")).json()
    assert health["status"] == "healthy"
    assert health["services"]["store"]["workers"][0]["name"] == "me"
    one = (await admin.client.get(f"{API}/health/store")).json()
    assert one["service"] == "store"
    assert list(one["services"]) == ["store"]
    assert (await admin.client.get(f"{API}/health/kitchen")).status_code == 404


async def test_metrics_are_what_prometheus_reads(admin):
    """Every number of the pipeline, in a text that Prometheus's own parser takes."""
    await buried(admin)
    await Heartbeat(admin.bus, "store", 'me"\n').beat()
    answer = await admin.client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    samples = {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }
    assert samples["habus_dead_letters", ()] == 1
    assert samples["habus_stream_length", (("stream", "dead"),)] == 1
    assert samples["habus_group_pending", (("group", "enrich"), ("stream", "inbox"))] == 0
    assert samples["habus_events_total", (("fate", "buried"),)] == 1
    assert samples["habus_worker_up", (("stage", "store"),)] == 1
    assert samples["habus_worker_up", (("stage", "ingest"),)] == 0
    assert samples["habus_dependency_up", (("dependency", "redis"),)] == 1
    assert samples["habus_events_unaccounted", ()] == 0
    assert any(name == "habus_group_lag_seconds" for name, _ in samples)
    assert any(name == "habus_worker_heartbeat_age_seconds" for name, _ in samples)


async def test_a_backfill_can_be_asked_for_looked_at_and_taken_back(admin):
    """Ingest finds the request in Redis; names and times that are none are refused."""
    wanted = {"from": TIME, "to": "2026-11-20T16:44:34Z", "entities": ["sensor.*_power"]}
    answer = await admin.client.post(f"{API}/backfills", json=wanted)
    assert answer.status_code == 202
    job = answer.json()
    assert (job["state"], job["from"], job["progress"]) == ("waiting", TIME, 0.0)
    assert job["to"] == "2026-11-20T16:44:34.000000+00:00"
    assert (await admin.client.get(f"{API}/backfills")).json() == {"backfills": [job]}
    assert (await admin.client.get(f"{API}/backfills/{job['id']}")).json() == job
    assert (await admin.client.delete(f"{API}/backfills/{job['id']}")).json() == job
    assert (await admin.client.delete(f"{API}/backfills/{job['id']}")).status_code == 404
    refused = await admin.client.post(f"{API}/backfills", json={**wanted, "to": TIME})
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "EMPTY_TIME")
    for odd in (
        {**wanted, "from": "yesterday"},
        {**wanted, "entities": ["kitchen"]},
        {**wanted, "more": 1},
    ):
        refused = await admin.client.post(f"{API}/backfills", json=odd)
        assert (refused.status_code, refused.json()["error"]["code"]) == (422, "VALIDATION_ERROR")

"""The way of one event: found from wherever one looks, and nothing else is taken for it."""

import pytest

from common.bus import ENRICH, STORE
from tests.fakes.desk import admin_on

pytestmark = pytest.mark.integration
URL = "/api/v1/events/way"
ENRICHED = '{"domain":"sensor","object_id":"a","state":"21.5","value":21.5,"available":true}'


@pytest.fixture
async def admin(redis_url):
    async with admin_on(redis_url) as found:
        yield found


async def add(bus, stream, event, data="{}", **more):
    fields = {
        "v": "1",
        "id": event,
        "type": "state_changed",
        "entity_id": "sensor.a",
        "time": "2026-11-20T15:44:33.435789+00:00",
        "source": "live",
        "home": "home",
        "data": data,
        **more,
    }
    flat = (part for pair in fields.items() for part in pair)
    return (await bus.command("XADD", bus.keys.streams[stream], "*", *flat)).decode()


async def test_the_whole_way_from_either_end(admin):
    """Raw leads to enriched and back; each station says how far its group is."""
    raw = await add(admin.bus, "raw", "one", '{"a":1}')
    other = await add(admin.bus, "raw", "two")
    done = await add(admin.bus, "enriched", "one", ENRICHED)
    for stream, group in (("raw", ENRICH), ("enriched", STORE)):
        key = admin.bus.keys.streams[stream]
        await admin.bus.command("XGROUP", "CREATE", key, group, "0")
        await admin.bus.command("XREADGROUP", "GROUP", group, "x", "COUNT", 1, "STREAMS", key, ">")
    await admin.bus.command("XACK", admin.bus.keys.raw, ENRICH, raw)
    for stream, entry_id in (("raw", raw), ("enriched", done)):
        answer = await admin.client.get(f"{URL}/{stream}/{entry_id}")
        way = answer.json()
        assert [(one["stream"], one["entry_id"]) for one in way["stations"]] == [
            ("raw", raw),
            ("enriched", done),
        ]
        assert [one["state"] for one in way["stations"]] == ["settled", "pending"]
        assert way["stations"][0]["data"] == {"a": 1}
        assert way["stations"][0]["command"] == f"redis-cli XRANGE ha:raw {raw} {raw}"
        assert way["stations"][1]["after_s"] > 0
        assert way["line_protocol"].startswith("sensor,area=none,")
        assert way["missing"] == []
    waiting = (await admin.client.get(f"{URL}/raw/{other}")).json()
    assert waiting["missing"] == ["enriched"]
    assert waiting["stations"][0]["state"] == "waiting"
    assert waiting["line_protocol"] is None


async def test_the_way_of_a_dead_letter(admin):
    """A letter knows where it fell from, however far that is."""
    raw = await add(admin.bus, "raw", "one")
    dead = await add(
        admin.bus, "dead", "another", dead_origin="ha:raw", dead_origin_id=raw, dead_stage="enrich"
    )
    answer = await admin.client.get(f"{URL}/dead/{dead}")
    way = answer.json()
    assert [one["stream"] for one in way["stations"]] == ["raw", "dead"]
    assert way["stations"][1]["state"] is None


async def test_what_is_gone_is_404(admin):
    """An entry that was trimmed, or never was, has no way."""
    answer = await admin.client.get(f"{URL}/raw/1-1")
    assert answer.status_code == 404
    answer = await admin.client.get(f"{URL}/raw/1")
    assert answer.status_code == 404


async def test_an_entry_of_the_far_future_has_a_way(admin):
    """Ids may be later than any clock; a time that cannot be read has no distance."""
    far = "999999999999999999-1"
    fields = {"v": "1", "id": "one", "type": "a", "time": "notatime", "data": "{}"}
    flat = (part for pair in fields.items() for part in pair)
    await admin.bus.command("XADD", admin.bus.keys.raw, far, *flat)
    answer = await admin.client.get(f"{URL}/raw/{far}")
    assert answer.status_code == 200
    [station] = answer.json()["stations"]
    assert (station["entry_id"], station["after_s"]) == (far, None)
    assert station["at"].startswith("9999-12-31")


@pytest.mark.parametrize(
    "broken", [{"version": "abc"}, {"version": "7", "areas": "{"}, {"version": "7", "areas": "[1]"}]
)
async def test_a_broken_registry_takes_nothing_else_with_it(admin, broken):
    """Entities, previews and ways are answered with what was readable last, as enrich does it."""
    raw = await add(admin.bus, "enriched", "one", ENRICHED)
    await admin.bus.write_hash(admin.bus.keys.registry, broken)
    known = (await admin.client.get("/api/v1/entities")).json()["entities"]
    assert [one["entity_id"] for one in known] == ["sensor.a"]
    told = {"event_type": "my_event", "data": {}}
    assert (await admin.client.post("/api/v1/enrich/preview", json=told)).status_code == 200
    assert (await admin.client.get(f"{URL}/enriched/{raw}")).status_code == 200

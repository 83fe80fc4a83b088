"""What the routes of dead letters answer, on a Redis in memory."""

import asyncio
import csv
import io
import json

import msgspec
from structlog.testing import capture_logs

from common import enriched
from common.bus import DeadLetters, Filter
from common.errors import PointRejected
from common.registry import Area, Entity, Registry
from tests.fakes.until import until
from tests.unit.admin.test_routes import API, CHANGE, buried

LETTERS = f"{API}/dead-letters"


async def test_letters_are_grouped_by_cause(admin):
    """Each group has its exact count, its newest letter and what to do."""
    await buried(admin, count=3)
    ids = await buried(admin, "store", PointRejected("no such field"), 1)
    answer = (await admin.client.get(f"{LETTERS}/groups")).json()
    assert (answer["total"], answer["matching"], answer["total_groups"]) == (4, 4, 2)
    big, small = answer["groups"]
    assert (big["count"], big["stage"], big["reason"]) == (3, "enrich", "malformed_event")
    assert big["first_at"] <= big["last_at"]
    assert big["error"] == "it makes no sense"
    assert "edit" in big["hint"]
    assert small["example"]["id"] == ids[-1]
    matching = {"stage": "store", "limit": 1}
    answer = (await admin.client.get(f"{LETTERS}/groups", params=matching)).json()
    assert (answer["total"], answer["matching"], len(answer["groups"])) == (4, 1, 1)


async def test_a_dry_run_says_what_would_become_of_a_letter(admin):
    """The present code runs as far as it gets; nothing is written, and the letter stays."""
    [letter_id] = await buried(admin)
    await admin.bus.write_hash(
        admin.bus.keys.registry,
        Registry(
            areas=(Area("k", "Kitchen"),), entities=(Entity("sensor.s0", area_id="k"),), version=1
        ).encode(),
    )
    url = f"{LETTERS}/{letter_id}/dry-run"
    as_it_is = (await admin.client.post(url)).json()
    assert (as_it_is["outcome"], as_it_is["stage"]) == ("dead", "enrich")
    change = {"entity_id": "sensor.s0", "new_state": {"state": "21.4"}}
    mended = {"data": {"event_type": "state_changed", "data": change}}
    well = (await admin.client.post(url, json=mended)).json()
    assert (well["outcome"], well["stage"], well["error"]) == ("stored", None, None)
    assert well["event"]["data"]["area"] == "Kitchen"
    assert well["line_protocol"].startswith("sensor,area=Kitchen,")
    ill = (await admin.client.post(url, json={"data": {"event_type": "x"} | {"data": 1}})).json()
    assert (ill["outcome"], ill["stage"], ill["reason"]) == ("dead", "enrich", "malformed_event")
    assert ill["hint"]
    assert ill["event"] is None
    answer = await admin.client.post(url, json={"data": {"no": "type"}})
    assert answer.status_code == 409
    assert answer.json()["error"]["code"] == "DATA_DOES_NOT_FIT"
    assert (await admin.client.get(f"{API}/ledger")).json()["dead"] == 1
    assert await admin.bus.command("XLEN", admin.bus.keys.audit) == 0
    assert (await admin.client.post(f"{LETTERS}/1-1/dry-run")).status_code == 404


async def test_a_dry_run_of_what_cannot_be_read_says_so(admin):
    """A letter of another format version would fall again: that is the answer, and no refusal."""
    fields = {"v": "2", "id": "x", "type": "a", "time": "b", "data": "{}", "dead_stage": "enrich"}
    flat = [part for pair in fields.items() for part in pair]
    letter_id = (await admin.bus.command("XADD", admin.bus.keys.dead, "*", *flat)).decode()
    answer = (await admin.client.post(f"{LETTERS}/{letter_id}/dry-run")).json()
    assert (answer["outcome"], answer["stage"], answer["reason"]) == (
        *("dead", "enrich"),
        "malformed_event",
    )
    assert "format version" in answer["error"]


async def test_a_dry_run_of_an_enriched_event_begins_at_store(admin, monkeypatch):
    """What fell at `store` is not enriched again; what makes no point falls there again."""
    [letter_id] = await buried(admin, "store", PointRejected("no"))
    url = f"{LETTERS}/{letter_id}/dry-run"
    data = enriched.encode(
        enriched.Enriched(
            domain="sensor",
            value=1.0,
            available=True,
            attributes=msgspec.Raw(b"{}"),
            quality=(),
            processing=enriched.Processing((), "", "", 0.0),
        )
    )
    well = (await admin.client.post(url, json={"data": json.loads(data)})).json()
    assert well["outcome"] == "stored"
    assert "value=1" in well["line_protocol"]

    def refuse(_):
        raise PointRejected("too far away", detail={"line": 1})

    monkeypatch.setattr(admin.sink, "point", refuse)
    ill = (await admin.client.post(url, json={"data": json.loads(data)})).json()
    assert (ill["error"], ill["detail"], ill["event"] is None) == (
        "too far away",
        {"line": 1},
        False,
    )


async def test_an_event_in_mind_is_previewed(admin):
    """An event that was never handed in is enriched and turned into its line."""
    told = {"event_type": CHANGE["event_type"], "data": CHANGE["data"]}
    for body in (told, CHANGE):
        said = (await admin.client.post(f"{API}/enrich/preview", json=body)).json()
        assert said["outcome"] == "stored"
        assert said["event"]["data"]["value"] == 21.4
        assert said["line_protocol"].startswith("sensor,area=none,device_class=")
    answer = await admin.client.post(f"{API}/enrich/preview", json={**CHANGE, "data": {}})
    assert answer.status_code == 422
    assert (await admin.client.get(f"{API}/ledger")).json()["captured"] == 0


async def test_a_replay_leaves_its_line(admin):
    """Who put back what stands in the audit; an edit keeps the original; the letter tells it."""
    first, second = await buried(admin, count=2)
    await admin.client.post(f"{LETTERS}/{first}/replay")
    original = (await admin.client.get(f"{LETTERS}/{second}")).json()["event"]["data"]
    edited = {"event_type": "state_changed", "data": {}}
    await admin.client.post(f"{LETTERS}/{second}/replay", json={"data": edited})
    lines = await admin.bus.command("XRANGE", admin.bus.keys.audit, "-", "+")
    one, two = [fields for _, fields in lines]
    assert (one[b"who"], one[b"via"], one[b"action"]) == (b"token", b"rest", b"replay")
    assert json.loads(one[b"what"])["id"] == first
    assert b"original" not in one
    assert two[b"action"] == b"replay_edited"
    assert json.loads(two[b"original"]) == original
    event_id = json.loads(two[b"what"])["event_id"]
    await admin.bus.command(
        "XADD", admin.bus.keys.dead, "*", "id", event_id, "replays", 1, "dead_stage", "enrich"
    )
    [again] = (await admin.client.get(LETTERS)).json()["dead_letters"]
    told = (await admin.client.get(f"{LETTERS}/{again['id']}")).json()
    assert told["replays"] == 1
    assert [line["action"] for line in told["history"]] == ["replay_edited"]
    assert told["history"][0]["original"] == original


async def test_an_expired_letter_is_not_replayed_by_mistake(admin):
    """What is older than the sink keeps would only fall again: 409, unless forced or edited."""
    [letter_id] = await buried(admin, error=PointRejected("old", "outside_retention"))
    url = f"{LETTERS}/{letter_id}"
    assert (await admin.client.get(url)).json()["expired"] is True
    answer = await admin.client.post(f"{url}/replay")
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "LETTER_EXPIRED")
    assert (await admin.client.post(f"{url}/replay", json={"force": True})).status_code == 200


async def test_a_purge_wants_the_count_that_was_seen(admin):
    """Deleting many needs the number of them; when it changed nothing is deleted."""
    ids = await buried(admin, count=3)
    url = f"{LETTERS}/purge"

    async def purge(**choice):
        return await admin.client.post(url, json=choice)

    assert (await purge(dry_run=True)).json()["count"] == 3
    unsaid = await purge(stage="enrich")
    assert (unsaid.status_code, unsaid.json()["error"]["details"]) == (409, {"count": 3})
    refused = await purge(filter={"stage": "enrich"}, expected_count=2)
    assert (refused.status_code, refused.json()["error"]["details"]) == (409, {"count": 3})
    assert (await purge(stagge="enrich", expected_count=3)).status_code == 422
    assert (await purge(stage="store", expected_count=0)).json()["purged"] == 0
    assert (await purge(ids=[ids[0], "1-1"], expected_count=1)).json()["purged"] == 1
    entity = {"entity_id": "sensor.s1"}
    assert (await purge(filter=entity, expected_count=1)).json()["purged"] == 1
    ledger = (await admin.client.get(f"{API}/ledger")).json()
    assert (ledger["dead"], ledger["purged"], ledger["unaccounted"]) == (1, 2, 0)
    lines = await admin.bus.command("XRANGE", admin.bus.keys.audit, "-", "+")
    assert [json.loads(fields[b"what"]) for _, fields in lines] == [
        {"ids": [ids[0], "1-1"], "filter": {}},
        {"filter": entity},
    ]
    assert await DeadLetters(admin.bus).ids(Filter()) == ids[2:]


async def test_many_are_put_back_by_a_job(admin):
    """202 with a job that can be watched; 409 when the count changed; the ledger balances."""
    ids = await buried(admin, count=4)
    url = f"{LETTERS}/replay"
    counted = await admin.client.post(url, json={"dry_run": True, "stage": "enrich"})
    assert (counted.status_code, counted.json()["count"]) == (200, 4)
    refused = await admin.client.post(url, json={"expected_count": 3})
    assert (refused.status_code, refused.json()["error"]["details"]) == (409, {"count": 4})
    for wrong in ({"rate": -1}, {"stagge": "x"}, {"ids": ["x"]}):
        assert (await admin.client.post(url, json=wrong)).status_code == 422, wrong
    assert (await admin.client.get(f"{API}/replays")).json()["replays"] == []
    started = await admin.client.post(url, json={"expected_count": 2, "ids": ids[:2]})
    job = started.json()
    assert started.status_code == 202
    assert started.headers["location"] == f"../replays/{job['job']}"
    assert (job["state"], job["total"], job["by_ids"], job["left"]) == ("running", 2, True, 2)
    entity = {"filter": {"entity_id": "sensor.s2", "start_time": "2020-01-01T00:00:00Z"}}
    other = (await admin.client.post(url, json=entity)).json()
    assert other["filter"] == {
        "entity_id": "sensor.s2",
        "start_time": "2020-01-01T00:00:00.000000+00:00",
    }
    stop = asyncio.Event()
    running = asyncio.create_task(admin.app.state.desk.runner.keep_running(stop))

    async def all_done():
        page = (await admin.client.get(f"{API}/replays")).json()
        return {found["state"] for found in page["replays"]} == {"done"}

    await until(all_done, what="both jobs")
    stop.set()
    await running
    assert [letter.id for letter in (await DeadLetters(admin.bus).page(Filter(), 9))] == ids[3:]
    found = (await admin.client.get(f"{API}/replays/{job['job']}")).json()
    assert (found["replayed"], found["gone"], found["error"]) == (2, 0, None)
    cancelled = (await admin.client.delete(f"{API}/replays/{job['job']}")).json()
    assert cancelled["state"] == "done"
    assert (await admin.client.get(f"{API}/replays/1-01234567")).status_code == 404
    page = (await admin.client.get(f"{API}/replays?limit=1")).json()
    assert page["replays"][0]["job"] == other["job"]
    rest = await admin.client.get(f"{API}/replays", params={"cursor": page["next_cursor"]})
    assert [one["job"] for one in rest.json()["replays"]] == [job["job"]]
    assert (await admin.client.get(f"{API}/ledger")).json()["unaccounted"] == 0


async def test_a_job_can_be_cancelled_over_http(admin):
    """DELETE ends it, and says by whom in the audit."""
    await buried(admin)
    job = (await admin.client.post(f"{LETTERS}/replay", json={})).json()["job"]
    assert (await admin.client.delete(f"{API}/replays/{job}")).json()["state"] == "cancelled"
    lines = (await admin.client.get(f"{API}/audit")).json()["audit"]
    assert [line["action"] for line in lines] == ["replay_cancelled", "replay_many"]
    assert lines[0]["what"] == {"job": job}


async def test_letters_are_exported_as_a_file(admin, monkeypatch):
    """NDJSON holds every field, CSV no formula; who exported them stands in the log."""
    monkeypatch.setattr("admin.routes.export.AT_ONCE", 2)
    ids = await buried(admin, count=3)
    evil = ("entity_id", "=cmd()", "data", "{}", "dead_stage", "store", "dead_error", "@x")
    last = (await admin.bus.command("XADD", admin.bus.keys.dead, "*", *evil)).decode()
    answer = await admin.client.get(f"{LETTERS}/export")
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert "attachment" in answer.headers["content-disposition"]
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert [line["id"] for line in lines] == [*ids, last]
    assert lines[0]["fields"]["entity_id"] == "sensor.s0"
    params = {"format": "csv", "stage": "store"}
    with capture_logs() as logs:
        found = (await admin.client.get(f"{LETTERS}/export", params=params)).text
    [head, row] = csv.reader(io.StringIO(found))
    assert head[0] == "id"
    assert row[5:7] == ["'@x", "'=cmd()"]
    [line] = [line for line in logs if line["event"] == "letters are exported"]
    assert (line["filter"], line["count"], line["via"]) == ({"stage": "store"}, 1, "rest")


async def test_the_audit_comes_in_pages(admin):
    """The newest lines first, the next page by its cursor."""
    for letter in await buried(admin, count=2):
        await admin.client.delete(f"{LETTERS}/{letter}")
    page = (await admin.client.get(f"{API}/audit?limit=1")).json()
    params = {"cursor": page["next_cursor"]}
    last = (await admin.client.get(f"{API}/audit", params=params)).json()
    assert [page["audit"][0]["action"], last["audit"][0]["action"]] == ["purge", "purge"]
    assert page["audit"][0]["id"] > last["audit"][0]["id"]
    assert last["next_cursor"] is None
    none = (await admin.client.get(f"{API}/audit?cursor=0-0")).json()
    assert none == {"audit": [], "next_cursor": None}


async def test_a_line_of_the_audit_may_be_anything(admin):
    """Whatever stands in the stream can be looked at."""
    await admin.bus.command("XADD", admin.bus.keys.audit, "*", "what", "{", "count", "x")
    [line] = (await admin.client.get(f"{API}/audit")).json()["audit"]
    assert (line["what"], line["count"], line["who"]) == ({}, 0, "")


async def test_what_goes_by_retention_is_said_before(admin):
    """The groups say how long letters stay."""
    answer = (await admin.client.get(f"{LETTERS}/groups")).json()
    assert answer["retention"] == {"days": 0.0, "going": 0, "next_at": None}

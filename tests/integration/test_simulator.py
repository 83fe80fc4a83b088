"""The simulated home, spoken to by a real WebSocket client."""

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from common.event import microseconds
from ingest.simulator.mischief import MALFORMED, NOT_A_CONVERSATION, UNASKED
from ingest.simulator.oracle import read_oracle
from ingest.simulator.rhythm import agrees
from ingest.simulator.server import Simulator
from ingest.simulator.settings import Settings
from tests.fakes.recordings import frames as recorded_frames
from tests.fakes.until import until

pytestmark = pytest.mark.integration

QUIET = Settings(rate=0, linger_s=0.2, commit_s=0, auth_timeout_s=0.2)


class Talk:
    """A client that remembers what it heard."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.frames: list[Any] = []
        self.messages: list[dict[str, Any]] = []
        self.last_id = 0

    async def hear(self) -> Any:
        frame = json.loads(await self.socket.recv())
        self.frames.append(frame)
        self.messages += frame if isinstance(frame, list) else [frame]
        return frame

    async def ask(self, name: str, **parameters: Any) -> dict[str, Any]:
        self.last_id += 1
        await self.socket.send(json.dumps({"id": self.last_id, "type": name, **parameters}))
        return await self.answer_to(self.last_id)

    async def result(self, name: str, **parameters: Any) -> Any:
        answer = await self.ask(name, **parameters)
        assert answer["success"] is True, answer
        return answer["result"]

    async def answer_to(self, message_id: object) -> dict[str, Any]:
        while True:
            heard = len(self.messages)
            await asyncio.wait_for(self.hear(), 5)
            for message in self.messages[heard:]:
                if message.get("id") == message_id and message["type"] != "event":
                    return message

    async def hear_changes(self, count: int) -> list[dict[str, Any]]:
        while len(self.changes) < count:
            await asyncio.wait_for(self.hear(), 5)
        return self.changes

    @property
    def events(self) -> list[dict[str, Any]]:
        return [message["event"] for message in self.messages if message.get("type") == "event"]

    @property
    def changes(self) -> list[dict[str, Any]]:
        return [event["data"] for event in self.events if event["event_type"] == "state_changed"]

    async def closed(self) -> int:
        try:
            while True:
                await asyncio.wait_for(self.hear(), 5)
        except ConnectionClosed as end:
            return end.rcvd.code if end.rcvd else 1006


@asynccontextmanager
async def talking(home: Simulator, *, coalesced: bool = False) -> AsyncIterator[Talk]:
    async with connect(home.url, max_size=None, compression=None, close_timeout=0.2) as socket:
        talk = Talk(socket)
        assert (await talk.hear())["type"] == "auth_required"
        await socket.send(json.dumps({"type": "auth", "access_token": home.token}))
        assert (await talk.hear())["type"] == "auth_ok"
        if coalesced:
            await talk.result("supported_features", features={"coalesce_messages": 1})
        yield talk


def number_of(change: dict[str, Any]) -> int:
    return change["new_state"]["attributes"]["n"]


async def get(home: Simulator, path: str) -> tuple[int, Any]:
    """GET over a plain socket."""
    host, port = home.http_url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    return int(head.split()[1]), json.loads(body) if body.startswith(b"{") else body.decode()


@pytest.mark.parametrize("version", ["2024.3.3", "2026.2.3", "2026.11.0"])
async def test_answers_every_list_and_snapshot(version: str) -> None:
    """Each command that habus uses is answered with what the home has."""
    async with Simulator(Settings(version=version, rate=0)).serve() as home, talking(home) as talk:
        assert (await talk.result("get_config"))["state"] == "RUNNING"
        states = await talk.result("get_states")
        assert len(states) == len(home.home.lives)
        assert ("last_reported" in states[0]) == (version != "2024.3.3")
        assert len(await talk.result("config/area_registry/list")) == 8
        assert len(await talk.result("config/floor_registry/list")) == 3
        assert len(await talk.result("config/label_registry/list")) == 3
        devices = await talk.result("config/device_registry/list")
        assert any(each.get("parent_device_id") for each in devices) == (version == "2026.11.0")
        entities = await talk.result("config/entity_registry/list")
        assert 40 <= len(entities) < len(states)
        assert (await talk.result("recorder/info"))["recording"] is True
        assert (await talk.result("auth/current_user"))["is_admin"] is True
        assert (await talk.ask("ping"))["type"] == "pong"


async def test_events_follow_the_subscription() -> None:
    """Events come from the subscription to the unsubscription, numbered without a hole."""
    async with Simulator(QUIET).serve() as home, talking(home) as talk:
        home.change(3)
        await talk.result("subscribe_events", event_type="state_changed")
        home.automation()
        home.change(200)
        changes = await talk.hear_changes(200)
        numbers = [number_of(change) for change in changes]
        assert numbers == list(range(home.home.n - 199, home.home.n + 1))
        assert all(isinstance(frame, dict) for frame in talk.frames)
        assert {event["event_type"] for event in talk.events} == {"state_changed"}
        await talk.result("unsubscribe_events", subscription=1)
        home.change(5)
        await talk.ask("ping")
        assert len(talk.changes) == 200
        assert (await talk.ask("unsubscribe_events", subscription=1))["error"][
            "code"
        ] == "not_found"


async def test_a_coalescing_client_gets_lists() -> None:
    """With coalesce_messages several messages share a frame; a single one is an object."""
    async with Simulator(QUIET).serve() as home, talking(home, coalesced=True) as talk:
        await talk.result("subscribe_events")
        home.automation()
        home.change(250)
        await talk.hear_changes(250)
        assert max(len(frame) for frame in talk.frames if isinstance(frame, list)) == 100
        home.change(1)
        await talk.hear_changes(251)
        assert isinstance(talk.frames[-1], dict)
        assert {event["event_type"] for event in talk.events} > {"call_service"}
        last = talk.changes[-1]["new_state"]
        assert last["last_updated"] == talk.events[-1]["time_fired"]


async def test_lives_at_its_rate_and_keeps_the_oracle(tmp_path: Path) -> None:
    """Every change is in the oracle before a client hears of it; numbers follow from n."""
    oracle = tmp_path / "oracle"
    settings = Settings(rate=2_000, entities=0, oracle=str(oracle))
    async with Simulator(settings).serve() as home, talking(home, coalesced=True) as talk:
        await talk.result("subscribe_events", event_type="state_changed")
        while len(talk.changes) < 600:
            frame = await talk.hear()
            known = {change.n: change for change in read_oracle(oracle)}
            for message in frame if isinstance(frame, list) else [frame]:
                new = message["event"]["data"]["new_state"]
                change = known[new["attributes"]["n"]]
                assert (change.entity_id, change.state) == (new["entity_id"], new["state"])
                assert change.sent
        home.set_rate(0)
    changes = read_oracle(oracle)
    assert [change.n for change in changes] == list(range(1, len(changes) + 1))
    assert len({change.us for change in changes}) == len(changes)
    loads = [change for change in changes if "load_" in change.entity_id]
    assert all(agrees(float(change.state), change.n) for change in loads)


@pytest.mark.parametrize("version", ["2024.3.3", "2026.11.0"])
async def test_says_no_as_home_assistant_does(version: str) -> None:
    """Every recorded error of a real Home Assistant is answered with the same words."""
    version_recorded = "2024.3.3" if version == "2024.3.3" else "2026.2.3"
    asked: dict[object, str] = {}
    expected = {}
    for frame in recorded_frames(version_recorded, "e_errors"):
        if frame.get("conn") != "admin_errors" or frame["dir"] not in ("send", "recv"):
            continue
        message = json.loads(str(frame["text"])) if frame["text"] != "{nope" else {}
        if not isinstance(message, dict) or message.get("type") in ("auth", "auth_ok"):
            continue
        if frame["dir"] == "send":
            asked[message.get("id")] = str(frame["text"])
        elif message.get("success") is False and message["id"] in asked:
            expected[asked[message["id"]]] = message
    ours = ("call_service", "config/entity_registry/get")
    async with Simulator(Settings(version=version, rate=0)).serve() as home, talking(home) as talk:
        await talk.socket.send('{"id": 5, "type": "ping"}')
        await talk.hear()
        assert len(expected) >= 12
        for text, answer in expected.items():
            if not any(name in text for name in ours) and json.loads(text).get("id") != 5:
                await talk.socket.send(text)
                assert await talk.hear() == answer
        await talk.socket.send("[1]")
        assert (await talk.hear())["id"] == 0
        await talk.socket.send('[{"id": 127, "type": "ping"}, {"id": 128, "type": "ping"}]')
        assert [(await talk.hear())["id"], (await talk.hear())["id"]] == [127, 128]
        await talk.socket.send(b"\x01abc")
        await talk.socket.send(b"")
        assert await talk.closed() == 1000


@pytest.mark.parametrize(
    ("first", "answer"),
    [
        ('{"type": "auth", "access_token": "wrong"}', "Invalid access token or password"),
        ('{"type": "auth"}', "Invalid access token or password"),
        ('{"id": 1, "type": "get_states"}', "Auth message incorrectly formatted: extra keys"),
        ("7", "Auth message incorrectly formatted"),
        ("{nope", None),
        (b"\x00", None),
    ],
)
async def test_refuses_who_does_not_authenticate(first: str | bytes, answer: str | None) -> None:
    """A wrong first message is answered as recorded, and the socket closes with 1000."""
    async with Simulator(QUIET).serve() as home, connect(home.url) as socket:
        talk = Talk(socket)
        await talk.hear()
        await socket.send(first)
        assert await talk.closed() == 1000
        if answer:
            assert talk.messages[-1]["type"] == "auth_invalid"
            assert talk.messages[-1]["message"].startswith(answer)
        else:
            assert len(talk.messages) == 1


@pytest.mark.parametrize(("version", "code"), [("2024.3.3", 1006), ("2026.11.0", 1000)])
async def test_closes_when_no_auth_comes(version: str, code: int) -> None:
    """Who says nothing is hung up on."""
    settings = Settings(version=version, rate=0, auth_timeout_s=0.05)
    async with Simulator(settings).serve() as home, connect(home.url) as socket:
        assert await Talk(socket).closed() == code


async def test_who_is_no_admin_may_not_hear_everything() -> None:
    """Without rights, all events and call_service are unauthorized, state_changed is allowed."""
    async with Simulator(Settings(rate=0, admin=False)).serve() as home, talking(home) as talk:
        refused = await talk.ask("subscribe_events")
        assert refused["error"] == {"code": "unauthorized", "message": "Unauthorized"}
        assert (await talk.ask("subscribe_events", event_type="call_service"))["success"] is False
        await talk.result("subscribe_events", event_type="state_changed")


async def test_history_gives_what_was_missed() -> None:
    """What happened while nobody was connected is in the history, microsecond for microsecond."""
    async with Simulator(QUIET).serve() as home, talking(home) as talk:
        await talk.result("subscribe_events", event_type="state_changed")
        home.change(300)
        changes = await talk.hear_changes(300)
        ids = [each for each in home.home.lives if each != "sensor.unrecorded_wifi"]
        asked = {"start_time": "2020-01-01T00:00:00+00:00", "entity_ids": [*ids, "sensor.never"],
                 "significant_changes_only": False, "include_start_time_state": False}  # fmt: skip
        history = await talk.result("history/history_during_period", **asked)
        times = {(each, round(row["lu"] * 1e6)) for each, rows in history.items() for row in rows}
        for change in changes:
            new = change["new_state"]
            if new["entity_id"] in ids:
                assert (new["entity_id"], microseconds(new["last_updated"])) in times
        assert set(history) == set(ids)
        secret = history["camera.entrance"][0]["a"]
        assert "access_token" not in secret
        unrecorded = await talk.result(
            "history/history_during_period",
            start_time="2020-01-01T00:00:00+00:00",
            entity_ids=["sensor.unrecorded_wifi"],
        )
        assert unrecorded == {}


async def test_history_refuses_what_it_cannot_read() -> None:
    """Bad times and ids have their own codes; without a recorder there is no such command."""
    command = "history/history_during_period"
    good = {"start_time": "2020-01-01T00:00:00", "entity_ids": ["sun.sun"]}
    async with Simulator(QUIET).serve() as home, talking(home) as talk:
        for wrong in ({"start_time": "yesterday"}, {"end_time": "no"}, {"entity_ids": ["nodots"]}):
            code = (await talk.ask(command, **{**good, **wrong}))["error"]["code"]
            assert code == f"invalid_{next(iter(wrong))}"
        assert await talk.result(command, **{**good, "start_time": "2199-01-01T00:00:00Z"}) == {}
        assert (await talk.ask(command, start_time="x"))["error"]["code"] == "invalid_format"
    async with Simulator(Settings(rate=0, recorder=False)).serve() as home, talking(home) as talk:
        assert (await talk.ask(command, **good))["error"]["code"] == "unknown_command"
    async with Simulator(Settings(rate=0, commit_s=3_600)).serve() as home, talking(home) as talk:
        assert await talk.result(command, **good) == {}


@pytest.mark.parametrize("how", ["error", "empty", "huge", "slow", "never"])
async def test_history_can_fail(how: str) -> None:
    """History fails in the way that was asked for; the connection stays."""
    async with Simulator(QUIET).serve() as home, talking(home) as talk:
        home.misbehave(history=how, history_slow_s=0.05)
        asking = talk.ask("history/history_during_period", start_time="2020-01-01T00:00:00Z",
                          entity_ids=["sun.sun"])  # fmt: skip
        if how == "never":
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(asking, 0.1)
            return
        answer = await asking
        assert answer["success"] == (how != "error")
        assert (len(json.dumps(answer)) > 10_000_000) == (how == "huge")
        assert (answer.get("result") == {}) == (how == "empty")


@pytest.mark.parametrize(
    ("version", "how", "code"),
    [("2024.3.3", "hang_up", 1006), ("2026.11.0", "hang_up", 1000), ("2026.11.0", "abort", 1006),
     ("2026.11.0", "eof", 1006), ("2026.11.0", 1001, 1001), ("2026.11.0", 1012, 1012)],
)  # fmt: skip
async def test_drops_the_socket(version: str, how: str | int, code: int) -> None:
    """Each way to end a connection is seen by the client as what it is."""
    settings = Settings(version=version, rate=0)
    async with Simulator(settings).serve() as home, talking(home) as talk:
        home.drop(how)
        assert await talk.closed() == code


async def test_refuses_the_token_and_accepts_it_again() -> None:
    """A revoked token ends the connection and is invalid until it is accepted again."""
    async with Simulator(QUIET).serve() as home:
        async with talking(home) as talk:
            home.refuse_token()
            assert await talk.closed() == 1000
        with pytest.raises(AssertionError):
            async with talking(home):
                pass
        home.accept_token()
        async with talking(home) as talk:
            assert (await talk.ask("ping"))["type"] == "pong"


@pytest.mark.parametrize("version", ["2024.3.3", "2026.11.0"])
async def test_restarts(version: str) -> None:
    """A restart refuses connections, starts with half its entities, then runs; no old states."""
    settings = Settings(version=version, rate=0, linger_s=0.2)
    async with Simulator(settings).serve() as home:
        async with talking(home) as talk:
            await talk.result("subscribe_events")
            restart = asyncio.create_task(home.restart(down_s=0.3, starting_s=0.6))
            assert await talk.closed() == (1006 if version == "2024.3.3" else 1000)
            stopped = [event["event_type"] for event in talk.events]
            assert stopped == (["homeassistant_stop"] if version == "2024.3.3" else [])
        await until(lambda: home.home.phase == "NOT_RUNNING")
        with pytest.raises(ConnectionRefusedError):
            await connect(home.url)
        await until(lambda: home.home.phase == "STARTING")
        async with talking(home) as talk:
            await talk.result("subscribe_events")
            assert (await talk.result("get_config"))["state"] == "STARTING"
            await restart
            assert (await talk.result("get_config"))["state"] == "RUNNING"
            restored = [c for c in talk.changes if c["new_state"]["attributes"].get("restored")]
            assert restored
            assert all(change["new_state"]["state"] == "unavailable" for change in restored)
            fresh = [change for change in talk.changes if change["old_state"] is None]
            assert len({change["entity_id"] for change in fresh}) == len(home.home.lives)
            kinds = {event["event_type"] for event in talk.events}
            assert {"core_config_updated", "homeassistant_start", "homeassistant_started"} < kinds


async def test_core_down_behind_supervisor() -> None:
    """auth_ok and then a close is one form of it, 502 at the upgrade the other."""
    async with Simulator(QUIET).serve() as home:
        home.misbehave(hangs_up_after_auth=True)
        async with talking(home) as talk:
            assert await talk.closed() == 1000
        home.misbehave(hangs_up_after_auth=False, bad_gateway=True)
        with pytest.raises(InvalidStatus) as refused:
            await connect(home.url)
        assert refused.value.response.status_code == 502
        home.behave()
        async with connect(home.url.replace("/api/websocket", "/core/websocket")) as socket:
            assert "auth_required" in str(await socket.recv())


@pytest.mark.parametrize("kind", [*NOT_A_CONVERSATION, *UNASKED, *MALFORMED, "binary"])
async def test_sends_rubbish(kind: str) -> None:
    """Each kind of rubbish arrives as it is written, and what follows it is sound."""
    async with Simulator(QUIET).serve() as home, talking(home, coalesced=True) as talk:
        await talk.result("subscribe_events")
        home.send_rubbish(kind)
        frame = await talk.socket.recv(decode=False)
        assert len(frame) == 0 if kind == "empty" else frame
        assert b"SUBSCRIPTION" not in frame
        assert (b'"id":2}' in frame) == (kind in MALFORMED or kind == "unserializable_event")
        if kind in NOT_A_CONVERSATION:
            with pytest.raises((ValueError, RecursionError)):
                json.loads(frame)
        assert (await talk.ask("ping"))["type"] == "pong"


async def test_goes_silent() -> None:
    """A half-open home sends no frames and no pongs; later everything comes."""
    async with Simulator(QUIET).serve() as home, talking(home) as talk:
        await talk.result("subscribe_events", event_type="state_changed")
        home.misbehave(silent=True)
        home.change(1)
        pong = await talk.socket.ping()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(talk.hear(), 0.15)
        assert not pong.done()
        home.behave()
        await talk.hear_changes(1)
        await asyncio.wait_for(pong, 5)


async def test_stops_reading() -> None:
    """A deaf home answers nothing, but its events go on."""
    async with Simulator(QUIET).serve() as home, talking(home) as talk:
        await talk.result("subscribe_events", event_type="state_changed")
        home.misbehave(deaf=True)
        await talk.socket.send('{"id": 50, "type": "ping"}')
        home.change(2)
        await talk.hear_changes(2)
        assert not any(message["type"] == "pong" for message in talk.messages)
        home.behave()
        assert (await talk.answer_to(50))["type"] == "pong"


async def test_disturbs_the_order() -> None:
    """Events can come twice, shuffled within a window, and late; none is lost by it."""
    async with Simulator(QUIET).serve() as home, talking(home) as talk:
        await talk.result("subscribe_events", event_type="state_changed")
        home.misbehave(twice=True, window=40, late_s=0.05, slow_s=0.001)
        home.change(15)
        home.change(15)
        assert not talk.changes
        changes = await talk.hear_changes(60)
        numbers = [number_of(change) for change in changes]
        assert sorted(numbers) == sorted([*range(home.home.n - 29, home.home.n + 1)] * 2)
        assert numbers != sorted(numbers)
        home.misbehave(twice=False, window=40)
        home.change(1)
        home.behave()
        await talk.hear_changes(61)


async def test_a_huge_snapshot() -> None:
    """get_states can be as large as in the largest homes."""
    async with Simulator(QUIET).serve() as home, talking(home) as talk:
        home.misbehave(states_mb=5)
        await talk.socket.send('{"id": 9, "type": "get_states"}')
        assert len(await talk.socket.recv()) > 5_000_000


@pytest.mark.parametrize("version", ["2024.3.3", "2026.11.0"])
async def test_entities_come_go_and_move(version: str) -> None:
    """Renaming, removing, adding and moving an entity say on the bus what Home Assistant says."""
    settings = Settings(version=version, rate=0)
    async with Simulator(settings).serve() as home, talking(home) as talk:
        await talk.result("subscribe_events")
        home.rename("light.kuche", "light.kueche")
        home.remove("light.bad")
        home.add("sensor.new", "bad")
        home.move("sensor.new", "flur")
        await talk.ask("ping")
        told = [(e["event_type"], e["data"]) for e in talk.events]
        kinds = [kind for kind, _ in told]
        registry, state = "entity_registry_updated", "state_changed"
        renaming = [registry, state, state] if version == "2024.3.3" else [state, state, registry]
        assert kinds == [*renaming, state, registry, registry, state, registry]
        gone, come, removed, added = talk.changes
        assert (gone["entity_id"], gone["new_state"]) == ("light.kuche", None)
        assert (come["entity_id"], come["old_state"]) == ("light.kueche", None)
        assert come["new_state"]["state"] == gone["old_state"]["state"]
        assert (removed["entity_id"], removed["new_state"]) == ("light.bad", None)
        assert added["old_state"] is None
        changes = [data for kind, data in told if kind == registry]
        assert changes[0] == {"action": "update", "entity_id": "light.kueche",
                              "changes": {"entity_id": "light.kuche"},
                              "old_entity_id": "light.kuche"}  # fmt: skip
        assert [each["action"] for each in changes] == ["update", "remove", "create", "update"]
        assert changes[3]["changes"] == {"area_id": "bad"}
        entities = await talk.result("config/entity_registry/list")
        areas = {each["entity_id"]: each["area_id"] for each in entities}
        assert areas["sensor.new"] == "flur"
        assert "light.bad" not in areas
        home.change(300)
        await talk.hear_changes(304)


@pytest.mark.parametrize(("version", "code"), [("2024.3.3", 1006), ("2026.11.0", 1000)])
async def test_drops_a_slow_client(tmp_path: Path, version: str, code: int) -> None:
    """A client that lets 4,096 messages wait is dropped; what it still reads has no hole."""
    path = tmp_path / "oracle"
    settings = Settings(version=version, rate=0, oracle=str(path))
    async with Simulator(settings).serve() as home:
        async with connect(home.url, max_queue=1, compression=None, close_timeout=0.2) as socket:
            talk = Talk(socket)
            await talk.hear()
            await socket.send(json.dumps({"type": "auth", "access_token": home.token}))
            await talk.hear()
            await talk.result("subscribe_events", event_type="state_changed")
            for _ in range(60):
                if home.told:
                    home.change(500)
                    await asyncio.sleep(0.005)
            assert not home.told
            home.change(10)
            assert await talk.closed() == code
        numbers = [number_of(change) for change in talk.changes]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
        changes = read_oracle(path)
        assert len(changes) - len(numbers) > 4_096
        sent = [change.n for change in changes if change.sent]
        assert sent[: len(numbers)] == numbers
        assert len(sent) - len(numbers) <= 1


async def test_loses_patience() -> None:
    """More than 1,024 waiting messages are borne for a while only."""
    settings = Settings(rate=0, peak_s=0.1)
    async with Simulator(settings).serve() as home, talking(home) as talk:
        await talk.result("subscribe_events", event_type="state_changed")
        home.misbehave(slow_s=30)
        home.change(1_000)
        home.change(500)
        await until(lambda: not home.told)
        assert await talk.closed() == 1000
        assert not talk.changes


async def test_waits_for_a_slow_client() -> None:
    """Where it is told to wait, a slow client holds the home up and misses nothing."""
    settings = Settings(rate=5_000, waits_for_slow=True)
    async with Simulator(settings).serve() as home, talking(home, coalesced=True) as talk:
        home.misbehave(slow_s=0.05)
        await talk.result("subscribe_events", event_type="state_changed")
        await until(lambda: any(client.outbox.pending > 1_024 for client in home.clients))
        home.set_rate(0)
        home.behave()
        await talk.hear_changes(home.sent)
        numbers = [number_of(change) for change in talk.changes]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


async def test_obeys_over_http() -> None:
    """Every control can be called from outside; what it does not know it refuses."""
    async with Simulator(QUIET).serve() as home:
        assert await get(home, "/simulator/misbehave?twice=true&late_s=0.5") == (
            200,
            {"ok": True, "result": None},
        )
        assert home.mischief.twice is True
        assert home.mischief.late_s == 0.5
        assert (await get(home, "/simulator/behave"))[0] == 200
        assert home.mischief.twice is False
        assert (await get(home, "/simulator/set_rate?rate=7"))[0] == 200
        assert (await get(home, "/simulator/status"))[1]["result"]["rate"] == 7
        assert (await get(home, "/simulator/move?entity_id=sun.sun&area_id=bad"))[0] == 200
        assert (await get(home, "/simulator/remove?entity_id=sun.moon"))[0] == 400
        assert (await get(home, "/simulator/misbehave?nicely=true"))[0] == 400
        assert (await get(home, "/simulator/drop?how=gently"))[0] == 400
        assert (await get(home, "/simulator/serve"))[0] == 404
        assert (await get(home, "/simulator/restart?down_s=0&starting_s=0"))[0] == 200
        await until(lambda: home.home.phase == "RUNNING" and not home.tasks)
        assert "binary" in (await get(home, "/simulator/rubbish_kinds"))[1]["result"]
        assert (await get(home, "/elsewhere"))[0] == 404


async def test_demo_lives_by_itself() -> None:
    """The demo changes believable values, and now and then something else happens."""
    home = Simulator(demo=True)
    assert 3 <= home.rate <= 5
    settings = Settings(rate=0, happenings_s=0.01, past_h=0.5)
    async with Simulator(settings).serve() as home, talking(home) as talk:
        assert home.home.n == 4 * len(home.home.lives)
        await talk.result("subscribe_events")
        expected = {"automation_triggered", "entity_registry_updated", "state_changed"}
        while not expected <= {event["event_type"] for event in talk.events}:
            await asyncio.wait_for(talk.hear(), 5)


async def test_runs_as_a_process(tmp_path: Path) -> None:
    """As a process it says where it listens, lives once somebody hears it, and stops at SIGTERM."""
    oracle = tmp_path / "oracle"
    arguments = ["--rate", "1000", "--seconds", "0.3", "--oracle", str(oracle),
                 "--after-subscription", "--entities", "200"]  # fmt: skip
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "ingest.simulator", *arguments, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout
    try:
        hello = json.loads(await process.stdout.readline())
        home = Simulator(Settings(rate=0))
        home.url, home.token = hello["url"], hello["token"]
        async with talking(home, coalesced=True) as talk:
            await talk.result("subscribe_events", event_type="state_changed")
            done = json.loads(await asyncio.wait_for(process.stdout.readline(), 10))
            assert done["done"] is True
            await talk.hear_changes(done["sent"])
            assert done["entities"] == 200
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 5) == 0
        sent = [change.n for change in read_oracle(oracle) if change.sent]
        assert sent == [number_of(change) for change in talk.changes]
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()

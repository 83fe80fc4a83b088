"""Answers about registries and states."""

import msgspec

from common.event import SNAPSHOT
from common.registry import EMPTY
from ingest import snapshot
from ingest.protocol import REGISTRY_LISTS, Answer, Conversation, Failure
from ingest.snapshot import Publisher, Snapshots

STATE = {
    "entity_id": "sensor.a",
    "state": "1",
    "attributes": {},
    "last_changed": "2026-11-20T15:44:33.435789+00:00",
    "last_updated": "2026-11-20T15:44:33.435789+00:00",
    "context": {"id": "1", "parent_id": None, "user_id": None},
}


class Heard(Publisher):
    """Keeps the registries that it is told."""

    def __init__(self):
        self.told = []

    def registry(self, lists):
        self.told.append(lists)
        return EMPTY


def asked():
    heard = Heard()
    return Snapshots(Conversation("token", ("state_changed",)), "home", heard), heard


def answer(command, result, error=None):
    return Answer(1, command, result, error)


def test_states_become_events_of_a_snapshot():
    """Each state that can be read is an event; one that cannot does not hide the others."""
    snapshots, _ = asked()
    result = msgspec.json.encode([STATE, {"state": "no entity"}, {**STATE, "entity_id": "sun.sun"}])
    events = snapshots.answered(answer("get_states", result))
    assert [event.entity_id for event in events] == ["sensor.a", "sun.sun"]
    assert {event.source for event in events} == {SNAPSHOT}
    assert {event.time for event in events} == {STATE["last_updated"]}


def test_a_snapshot_knows_what_each_state_means():
    """Its name and unit stay known, as long as no newer snapshot can be read."""
    snapshots, _ = asked()
    named = {**STATE, "attributes": {"friendly_name": "A", "icon": "mdi:a"}}
    snapshots.answered(answer("get_states", msgspec.json.encode([named, {"state": "odd"}])))
    snapshots.answered(answer("get_states", b"[]"))
    assert snapshots.meanings == {"sensor.a": b'{"friendly_name":"A"}'}


def test_an_answer_that_is_no_list_gives_no_states():
    """A broken snapshot ends nothing: the live events are there all the same."""
    snapshots, _ = asked()
    assert snapshots.answered(answer("get_states", b'{"a":1}')) == []
    assert snapshots.answered(answer("get_states", None, Failure("unknown_error", "no"))) == []


def test_the_registry_is_told_when_all_its_lists_are_there():
    """One registry for the five lists, in whatever order they come."""
    snapshots, heard = asked()
    *first, last = REGISTRY_LISTS.values()
    for command in first:
        assert snapshots.answered(answer(command, b"[]")) == []
    assert heard.told == []
    snapshots.answered(answer(last, b'[{"id":"x"}]'))
    assert [set(lists) for lists in heard.told] == [set(REGISTRY_LISTS)]


def test_a_list_that_an_old_version_does_not_know_is_empty():
    """Home Assistant before floors answers an error; the others count all the same."""
    snapshots, heard = asked()
    unknown = Failure("unknown_command", "Unknown command.")
    for kind, command in REGISTRY_LISTS.items():
        known = kind != "floors"
        snapshots.answered(answer(command, b"[]" if known else None, None if known else unknown))
    [lists] = heard.told
    assert lists["floors"] == b"[]"


def test_it_is_asked_again_only_after_a_change():
    """Without a change nothing is due; asking makes it so again."""
    snapshots, _ = asked()
    assert snapshots.due_in() is None
    snapshots.ask_later()
    assert 0 <= snapshots.due_in() <= 1.0


def test_asking_asks_for_everything():
    """Registries first, states last, and nothing is due any more."""
    heard = []
    conversation = Conversation("token", ("state_changed",))
    conversation.ask = heard.append
    snapshots = Snapshots(conversation, "home", Heard())
    snapshots.ask_later()
    snapshots.ask()
    assert heard == [*REGISTRY_LISTS.values(), "get_states"]
    assert snapshots.due_in() is None


def test_registries_that_cannot_be_read_are_not_published():
    """Rubbish in place of the lists leaves what was known."""
    publisher = Publisher(None)
    publisher.registry(dict.fromkeys(REGISTRY_LISTS, b"{nope"))
    assert publisher._newest is None
    assert not publisher._changed.is_set()
    publisher.registry(dict.fromkeys(REGISTRY_LISTS, b"[]"))
    assert publisher._newest is not None


def test_changes_that_never_cease_do_not_put_off_the_question_for_ever(monkeypatch):
    """Each change waits for more of them, but not beyond a bound."""
    now = 1000.0
    monkeypatch.setattr(snapshot.time, "monotonic", lambda: now)
    snapshots, _ = asked()
    assert snapshots.due_in() is None
    while now < 1000 + snapshot.POSTPONED_S:
        snapshots.ask_later()
        assert 0 < snapshots.due_in() <= snapshot.DEBOUNCE_S
        now += snapshot.DEBOUNCE_S / 2
    snapshots.ask_later()
    assert snapshots.due_in() == 0
    snapshots.ask()
    assert snapshots.due_in() is None
    snapshots.ask_later()
    assert snapshots.due_in() == snapshot.DEBOUNCE_S

"""How ingest asks for history."""

import msgspec
import pytest

from ingest.history import COMMAND, History
from ingest.protocol import Answer, Conversation


@pytest.fixture
def conversation():
    """A conversation in which commands may be sent, and all that it wanted to send was."""
    begun = Conversation("a-token", [])
    begun.receive(b'{"type":"auth_ok","ha_version":"2024.3.3"}')
    begun.to_send()
    return begun


def history_that_answers(conversation, result):
    """A History whose every question is answered so, and the questions."""
    history = History(conversation)
    asked = []

    async def send():
        for text in conversation.to_send():
            question = msgspec.json.decode(text)
            asked.append(question)
            history.answered(Answer(question["id"], question["type"], result, None))

    history.send = send
    return history, asked


async def test_history_is_asked_for_every_row_and_for_no_row_twice(conversation):
    """Insignificant changes count too, and what was before the start is nothing that happened."""
    history, asked = history_that_answers(conversation, b"{}")
    await history.ask(1_000_000, 2_000_000, ("sensor.a", "sensor.b"))
    [question] = asked
    del question["id"]
    assert question == {
        "type": COMMAND,
        "start_time": "1970-01-01T00:00:00.999999+00:00",
        "end_time": "1970-01-01T00:00:02.000000+00:00",
        "entity_ids": ["sensor.a", "sensor.b"],
        "significant_changes_only": False,
        "minimal_response": False,
        "no_attributes": False,
        "include_start_time_state": False,
    }


@pytest.mark.parametrize("config", [b"null", b"[]", b'{"state":"\xff"}', b"[" * 900, b"{}"])
async def test_a_home_that_does_not_tell_is_taken_as_running(conversation, config):
    """Whatever stands in place of the configuration: nobody waits for it, nothing breaks."""
    history, asked = history_that_answers(conversation, config)
    assert await history.started()
    assert [question["type"] for question in asked] == ["get_config"]

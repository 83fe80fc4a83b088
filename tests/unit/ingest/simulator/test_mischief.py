"""How the home can misbehave."""

import json

import pytest

from ingest.simulator.mischief import MALFORMED, NOT_A_CONVERSATION, UNASKED, Mischief, rubbish

SAID = [("state_changed", [b"1", b"2", b"3"]), ("call_service", [b"4"])]


def test_well_behaved_it_changes_nothing():
    """Nothing is disturbed as long as nothing is switched on."""
    mischief = Mischief()
    assert mischief.disturbed(SAID) is SAID
    assert mischief.quiet


def test_twice():
    """Every event comes twice, one right after the other."""
    mischief = Mischief(twice=True)
    assert mischief.disturbed(SAID)[0] == ("state_changed", [b"1", b"1", b"2", b"2", b"3", b"3"])
    assert not mischief.quiet


def test_shuffled_within_a_window():
    """Events wait until the window is full, come shuffled, and the rest when it is closed."""
    mischief = Mischief(window=8)
    assert mischief.disturbed(SAID) == []
    shuffled = mischief.disturbed(SAID)
    assert sorted(shuffled) == sorted(2 * [
        ("state_changed", [b"1"]), ("state_changed", [b"2"]), ("state_changed", [b"3"]),
        ("call_service", [b"4"]),
    ])  # fmt: skip
    mischief.disturbed(SAID)
    mischief.window = 0
    assert len(mischief.disturbed([])) == 4
    assert mischief.disturbed(SAID) is SAID


@pytest.mark.parametrize("kind", [*UNASKED, *MALFORMED])
def test_rubbish_that_is_json(kind: str):
    """What is unasked or malformed is JSON and knows the subscription."""
    payload, text = rubbish(kind, 18)
    json.loads(payload)
    assert text
    assert (b'"id":18}' in payload) == (kind in MALFORMED or kind == "unserializable_event")


@pytest.mark.parametrize("kind", NOT_A_CONVERSATION)
def test_rubbish_that_is_no_json(kind: str):
    """What breaks the conversation is no JSON."""
    with pytest.raises((ValueError, RecursionError)):
        json.loads(rubbish(kind, 1)[0])


def test_binary_is_no_text():
    """One kind is a binary frame; an unknown kind is an error."""
    assert rubbish("binary", 1)[1] is False
    with pytest.raises(KeyError):
        rubbish("nice", 1)

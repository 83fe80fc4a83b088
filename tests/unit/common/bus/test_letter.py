"""A dead letter."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from common.bus.letter import MAX_ERROR_CHARACTERS, Burial, fingerprint, letter, without_burial
from common.errors import MalformedEvent, PointRejected, StepFailed

BURIAL = Burial(
    stage="enrich",
    origin="ha:raw",
    origin_id="5-1",
    deliveries=2,
    worker="attic",
    at="2026-11-20T15:44:33.435789+00:00",
)
FLAT = [b"id", b"1", b"data", b"{}", b"note", b"\xff"]


def as_dict(flat):
    return dict(zip(flat[::2], flat[1::2], strict=True))


def test_a_letter_is_the_entry_and_beside_it_the_cause():
    """The entry's own fields come first and untouched, then why, where and when it died."""
    error = StepFailed("division by zero", {"step": "value", "traceback": "…"})
    flat = letter(FLAT, error, BURIAL)
    assert flat[: len(FLAT)] == FLAT
    causes = as_dict(flat[len(FLAT) :])
    assert msgspec.json.decode(causes.pop(b"dead_detail")) == {"step": "value", "traceback": "…"}
    assert causes == {
        b"dead_stage": "enrich",
        b"dead_reason": "enrich_failed",
        b"dead_error": "division by zero",
        b"dead_origin": "ha:raw",
        b"dead_origin_id": "5-1",
        b"dead_deliveries": 2,
        b"dead_worker": "attic",
        b"dead_at": "2026-11-20T15:44:33.435789+00:00",
        b"dead_fingerprint": fingerprint("enrich", error),
    }


def test_a_letter_of_a_letter_has_one_cause():
    """What is buried again loses the old cause; `replays` and all else stays."""
    first = letter([*FLAT, b"replays", b"1"], MalformedEvent("first"), BURIAL)
    again = letter(first, PointRejected("second"), BURIAL)
    assert again.count(b"dead_error") == 1
    assert as_dict(again)[b"dead_error"] == "second"
    assert without_burial(again) == [*FLAT, b"replays", b"1"]


def test_names_may_be_text_too():
    """Fields that were made here and not read from Redis are told apart as well."""
    assert without_burial(["id", "1", "dead_error", "x", "data", b"{}"]) == [
        *("id", "1", "data", b"{}"),
    ]


def test_a_long_error_is_cut():
    """No message fills the stream."""
    flat = letter(FLAT, PointRejected("x" * 10_000), BURIAL)
    assert as_dict(flat)[b"dead_error"] == "x" * MAX_ERROR_CHARACTERS


def test_any_detail_can_be_written():
    """What is no JSON in a detail is written as its text."""
    flat = letter(FLAT, StepFailed("no", {"error": ValueError("x"), "set": {1}}), BURIAL)
    assert msgspec.json.decode(as_dict(flat)[b"dead_detail"]) == {"error": "x", "set": [1]}


def test_the_same_cause_has_the_same_fingerprint():
    """Numbers, names in quotes and ids do not tell two deaths of one cause apart."""
    one = PointRejected("field \"value\" of sensor 'a' is 12.5, not 3 (id 0123456789abcdef)")
    two = PointRejected("field \"state\" of sensor 'b' is 7, not 99 (id fedcba9876543210)")
    assert fingerprint("store", one) == fingerprint("store", two)
    assert len(fingerprint("store", one)) == 12


def test_points_that_are_too_old_have_one_fingerprint():
    """InfluxDB names the oldest and the newest without quotes; it is one cause all the same."""
    said = (
        "partial write: dropped {n} points outside retention policy of duration 1h0m0s - oldest"
        " point {name} at 2026-11-30T15:08:09.22Z dropped because it violates a Retention Policy"
        " Lower Bound at 2026-11-30T17:08:09.35Z, newest point {name} at 2026-11-30T16:08:09.22Z"
        " dropped because it violates a Retention Policy Lower Bound at 2026-11-30T17:08:09.35Z"
    )
    names = ("sensor,area=Küche\\ at\\ home,entity_id=sensor.a", "light,entity_id=light.x")
    errors = [PointRejected(said.format(n=n, name=name)) for n, name in enumerate(names)]
    assert len({fingerprint("store", error) for error in errors}) == 1


def test_another_cause_has_another_fingerprint():
    """Stage, reason, step and words tell causes apart."""
    base = StepFailed("no", {"step": "value"})
    others = {
        fingerprint("enrich", base),
        fingerprint("store", base),
        fingerprint("enrich", StepFailed("no", {"step": "unit"})),
        fingerprint("enrich", StepFailed("yes", {"step": "value"})),
        fingerprint("enrich", PointRejected("no", detail={"step": "value"})),
    }
    assert len(others) == 5


@given(st.text())
def test_any_message_has_a_fingerprint(message):
    """Even half a surrogate in an error's message does not stop the burial."""
    assert len(fingerprint("enrich", MalformedEvent(message))) == 12

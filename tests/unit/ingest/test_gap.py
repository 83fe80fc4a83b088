"""Spans, slices and what stays missing."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.event import BACKFILL, GAP, parse_time, time_of
from ingest import gap
from ingest.gap import HOUR, SECOND, Gap, Span

NOW = 1_795_000_000 * SECOND
DAY = 24 * HOUR
ENTITIES = st.one_of(st.none(), st.frozensets(st.sampled_from("abc"), min_size=1))
GAPS = st.lists(
    st.builds(
        lambda start, length, reason, entities: Gap(
            start, start + length, reason, entities and tuple(sorted(entities))
        ),
        st.integers(0, 50),
        st.integers(1, 20),
        st.sampled_from((gap.HISTORY_FAILED, gap.NOT_RECORDED)),
        ENTITIES,
    ),
    max_size=8,
)


@given(
    start=st.integers(0, 10 * DAY),
    length=st.integers(1, 3 * DAY),
    answers=st.lists(
        st.tuples(st.integers(0, 4 * 2**20), st.floats(0, 5)), min_size=1, max_size=50
    ),
)
def test_slices_cover_a_span_exactly(start, length, answers):
    """Slices follow one another from the first microsecond to the last, whatever was answered."""
    at, end, size, asked = start, start + length, gap.FIRST_SLICE, 0
    while at < end:
        piece = gap.slice_after(at, end, size)
        assert piece[0] == at
        assert at < piece[1] <= end
        at = piece[1]
        size = gap.next_length(size, *answers[asked % len(answers)])
        assert gap.SHORTEST_SLICE <= size <= gap.LONGEST_SLICE
        asked += 1
    assert at == end


@pytest.mark.parametrize(
    ("size_bytes", "seconds", "length"),
    [
        (gap.LARGE_BYTES + 1, 0.1, HOUR // 2),
        (0, gap.SLOW_S + 1, HOUR // 2),
        (0, 0.1, 2 * HOUR),
        (gap.SMALL_BYTES, 0.1, HOUR),
    ],
)
def test_a_slice_follows_the_last_answer(size_bytes, seconds, length):
    """A large or slow answer halves the next slice, a small one doubles it."""
    assert gap.next_length(HOUR, size_bytes, seconds) == length


def test_bounds_are_exclusive():
    """What is asked for begins a microsecond earlier: Home Assistant leaves both bounds out."""
    assert gap.bounds(NOW, NOW + SECOND) == (time_of(NOW - 1), time_of(NOW + SECOND))


@given(st.sets(st.text("abcdef", min_size=1), max_size=350))
def test_groups_hold_each_entity_once(entities):
    """No entity is left out, none is asked for twice, and no group is too large."""
    found = gap.groups(entities)
    assert sorted(entities) == [entity for group in found for entity in group]
    assert all(0 < len(group) <= gap.ENTITIES_AT_ONCE for group in found)


def test_a_span_begins_a_little_earlier_and_goes_on_where_it_was():
    """What is asked for first overlaps; after a restart nothing is asked for again."""
    assert Span(NOW).resumed_at() == NOW - gap.OVERLAP
    assert Span(NOW, done=NOW + SECOND).resumed_at() == NOW + SECOND
    assert Span(None).asked_from == -gap.OVERLAP
    assert Span(NOW, overlap=0).resumed_at() == NOW


def test_a_span_remembers_the_oldest_row():
    """The oldest row says how far history reaches back; new rows are counted."""
    span = Span(NOW).with_rows([NOW + 5, NOW + 3], 1)
    assert (span.first_row, span.recovered, span.reaches_back) == (NOW + 3, 1, False)
    span = span.with_rows([NOW + 4], 1)
    assert (span.first_row, span.recovered, span.reaches_back) == (NOW + 3, 2, False)
    assert span.with_rows([NOW], 0).with_rows([NOW + 9], 0).reaches_back


def test_the_second_pass_begins_before_what_may_not_be_committed():
    """It goes back from now or, where that is older, from the last change in the home."""
    span = Span(NOW - HOUR)
    assert gap.tail_of(span, NOW, NOW + SECOND) == NOW - gap.STRETCH
    assert gap.tail_of(span, NOW, NOW - 600 * SECOND) == NOW - 600 * SECOND - gap.STRETCH
    assert gap.tail_of(span, NOW, NOW - DAY) == span.asked_from


def test_what_left_no_trace_stays_missing():
    """Entities without a trace are named, each with its reason; nobody else is."""
    span = Span(NOW).with_rows([NOW], 7)
    assert gap.judged(span, NOW + HOUR, ["b.b", "a.a"], ["c.c"]) == [
        Gap(NOW, NOW + HOUR, gap.NOT_RECORDED, ("a.a", "b.b"), 7),
        Gap(NOW, NOW + HOUR, gap.REMOVED, ("c.c",), 7),
    ]
    assert gap.judged(span, NOW + HOUR, (), ()) == []
    assert gap.judged(Span(None), HOUR, (), ()) == []


def test_other_event_types_have_no_history():
    """What is captured beside state changes stays missing."""
    [found] = gap.judged(Span(NOW), NOW + 1, (), (), ("call_service", "a_type"))
    assert found.reason == gap.OTHER_EVENT_TYPES
    assert found.event_types == ("a_type", "call_service")


@pytest.mark.parametrize(
    ("span", "known_from"),
    [
        (Span(NOW - 12 * DAY).with_rows([NOW - 10 * DAY], 1), NOW - 10 * DAY),
        (Span(NOW - 12 * DAY), NOW),
        (Span(NOW - 12 * DAY).with_rows([NOW - 12 * DAY - 1], 0), None),
        (Span(NOW - 12 * DAY).with_rows([NOW - 12 * DAY + 60 * SECOND], 1), None),
        (Span(NOW - 20 * HOUR), None),
    ],
)
def test_history_may_not_reach_back_so_far(span, known_from):
    """A long silence at the beginning of a long span is a gap, where nothing was there before."""
    expected = (
        []
        if known_from is None
        else [Gap(NOW - 12 * DAY, known_from, gap.BEYOND_RETENTION, None, span.recovered)]
    )
    assert gap.judged(span, NOW, (), ()) == expected


@pytest.mark.parametrize(
    ("span", "is_missing"),
    [
        (Span(NOW - 12 * DAY), True),
        (Span(NOW - 12 * DAY).with_rows([NOW - 12 * DAY + 60 * SECOND], 1), False),
        (Span(NOW - 12 * DAY, reaches_back=True), False),
        (Span(NOW - 25 * HOUR), False),
    ],
)
@pytest.mark.parametrize("length", [HOUR // 2, HOUR, 24 * HOUR])
def test_a_short_time_that_is_long_ago_may_be_purged(span, is_missing, length):
    """Where a span that ended long ago shows nothing, its age counts and not its length."""
    end = span.start + length
    expected = [Gap(span.start, end, gap.BEYOND_RETENTION)] if is_missing else []
    assert gap.judged(span, end, (), (), now=NOW) == expected


def test_without_a_recorder_there_is_one_reason():
    """Where there is no recorder nothing else is said of state changes."""
    absent = Gap(NOW - 12 * DAY, NOW, gap.RECORDER_ABSENT)
    assert gap.judged(Span(NOW - 12 * DAY).without(absent), NOW, ["a.a"], ["b.b"]) == [absent]


@given(GAPS)
def test_merging_changes_nothing_but_the_number_of_pieces(gaps):
    """Each microsecond of each entity is missing for the same reason before and after."""
    found = gap.merged(gaps)
    assert points(found) == points(gaps)
    assert len(found) <= len(gaps)
    assert gap.merged(found) == found


def points(gaps):
    """(µs, reason, entity), with `*` for everybody, who includes each."""
    found = set()
    for each in gaps:
        names = "abc*" if each.entities is None else each.entities
        found |= {(us, each.reason, name) for us in range(each.start, each.end) for name in names}
    return found


def test_gaps_of_groups_and_of_slices_become_one():
    """What failed in pieces of time and of entities is said in one."""
    parts = [Gap(at, at + 10, gap.HISTORY_FAILED, (name,)) for at in (0, 10, 20) for name in "ba"]
    assert gap.merged(parts) == [Gap(0, 30, gap.HISTORY_FAILED, ("a", "b"))]


def test_what_is_asked_for_again_has_not_failed_yet():
    """Before a slice is asked for again, what failed in it of these entities counts no more."""
    failed = [Gap(at, at + SECOND, gap.HISTORY_FAILED, ("a.a",)) for at in (NOW, NOW + SECOND)]
    everybody = Gap(NOW, NOW + SECOND, gap.RECORDER_ABSENT)
    span = Span(NOW).without(*failed, everybody)
    assert span.asked_again(NOW + SECOND, {"a.a", "b.b"}).failed == (failed[0], everybody)
    assert span.asked_again(NOW, {"a.a"}).failed == (everybody,)
    assert span.asked_again(NOW, {"b.b"}).failed == (*failed, everybody)


@given(GAPS)
def test_a_gap_is_read_as_it_was_shown(gaps):
    """What stands in Redis of a gap is the whole gap."""
    assert [gap.gap_of(each.shown()) for each in gaps] == gaps


def test_a_gap_is_an_event_once():
    """The same gap is the same event; two that begin together differ in time by a microsecond."""
    gaps = [
        Gap(NOW, NOW + HOUR, gap.NOT_RECORDED, ("a.a",), 7),
        Gap(NOW, NOW + HOUR, gap.BEYOND_RETENTION),
    ]
    first, second = gap.events_of(gaps, "home")
    assert gap.events_of(gaps, "home") == [first, second]
    assert first.id != second.id
    assert (first.type, first.entity_id, first.source, first.home) == (GAP, "", BACKFILL, "home")
    assert [first.time, second.time] == [time_of(NOW), time_of(NOW + 1)]
    told = msgspec.json.decode(first.data)
    assert told["event_type"] == GAP
    assert parse_time(told["time_fired"]) == parse_time(first.time)
    assert told["data"] == {
        "from": time_of(NOW),
        "to": time_of(NOW + HOUR),
        "seconds": 3600.0,
        "reason": "not_recorded",
        "entities": ["a.a"],
        "event_types": ["state_changed"],
        "recovered": 7,
    }
    assert gaps[1].shown()["entities"] == "all"


def test_what_is_missing_before_anybody_listened_is_no_gap():
    """Of a first span that was interrupted only the time since then is told."""
    begin, heard, end = NOW - 30 * HOUR, NOW - SECOND, NOW
    failed = (
        Gap(begin, begin + HOUR, gap.HISTORY_FAILED, ("b",)),
        Gap(begin, end, gap.HISTORY_FAILED, ("c",)),
    )
    span = Span(begin, promised=heard, failed=failed, first_row=NOW - 2 * HOUR)
    assert span.told_from == heard
    assert gap.judged(span, end, ["a"], ["d"], ["call_service"]) == [
        Gap(heard, end, gap.NOT_RECORDED, ("a",)),
        Gap(heard, end, gap.REMOVED, ("d",)),
        Gap(heard, end, gap.HISTORY_FAILED, ("c",)),
        Gap(heard, end, gap.OTHER_EVENT_TYPES, None, 0, ("call_service",)),
    ]
    everything = gap.judged(msgspec.structs.replace(span, promised=0), end, (), ())
    assert [(each.start, each.reason) for each in everything] == [
        (begin, gap.BEYOND_RETENTION),
        (begin, gap.HISTORY_FAILED),
        (begin, gap.HISTORY_FAILED),
    ]

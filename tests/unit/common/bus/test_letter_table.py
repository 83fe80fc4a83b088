"""The table behind groups and filters, held against a plain list."""

from hypothesis import given
from hypothesis import strategies as st

from common.bus import letter_table
from common.bus.dead_letter import Filter, letter_from
from common.bus.entry import position_of
from common.bus.letter_table import Cause, LetterTable
from common.event import time_of

US = 1_795_189_957_000_000
CAUSES = (Cause("a", "enrich", "x"), Cause("b", "store", "y"), Cause("c", "store", "x"))
ROWS = st.lists(
    st.tuples(
        st.tuples(st.integers(1, 4), st.integers(0, 4)),
        st.sampled_from(CAUSES),
        st.sampled_from(["sensor.a", "sensor.b", ""]),
        st.integers(-1, 5),
    ),
    unique_by=lambda row: row[0],
    max_size=20,
).map(lambda rows: sorted(rows, key=lambda row: row[0]))
FILTERS = st.builds(
    Filter,
    stage=st.sampled_from([None, "enrich", "store", "none"]),
    reason=st.sampled_from([None, "x", "y"]),
    fingerprint=st.sampled_from([None, "a", "c"]),
    entity_id=st.sampled_from([None, "sensor.a", "sensor.c"]),
    since=st.sampled_from([None, time_of(US + 2)]),
    until=st.sampled_from([None, time_of(US + 4)]),
)


def when(offset):
    return time_of(US + offset) if offset >= 0 else ""


def identity(row):
    return f"{row[0][0]}-{row[0][1]}"


def filled(rows):
    table = LetterTable()
    for row in rows:
        table.add(identity(row), row[1], row[2], when(row[3]))
    return table


def as_letter(row):
    cause = row[1]
    return letter_from(
        identity(row).encode(),
        {
            b"entity_id": row[2].encode(),
            b"dead_stage": cause.stage.encode(),
            b"dead_reason": cause.reason.encode(),
            b"dead_fingerprint": cause.fingerprint.encode(),
            b"dead_at": when(row[3]).encode(),
        },
    )


@given(ROWS, FILTERS, st.data())
def test_the_table_finds_what_the_filter_means(rows, wanted, data):
    """Ids, counts and pages are those that the filter itself would find, after any deletion."""
    table = filled(rows)
    gone = data.draw(st.sets(st.sampled_from(range(len(rows)))) if rows else st.just(set()))
    oldest = data.draw(st.integers(0, len(rows)))
    table.drop(identity(rows[number]) for number in gone)
    if oldest < len(rows):
        table.drop_before(identity(rows[oldest]))
    left = [row for n, row in enumerate(rows) if n not in gone and n >= oldest % max(len(rows), 1)]
    if oldest == len(rows):
        left = [row for n, row in enumerate(rows) if n not in gone]
    found = [identity(row) for row in left if wanted.matches(as_letter(row))]
    assert len(table) == len(left)
    assert list(table.ids(wanted)) == found
    assert list(table.ids_before(wanted)) == found[::-1]
    assert table.count(wanted) == len(found)
    border = data.draw(st.tuples(st.integers(1, 4), st.integers(0, 4)))
    text = f"{border[0]}-{border[1]}"
    assert list(table.ids(wanted, after=text)) == [i for i in found if position_of(i) > border]
    assert list(table.ids(wanted, until=text)) == [i for i in found if position_of(i) <= border]
    assert list(table.ids_before(wanted, text)) == [
        i for i in found[::-1] if position_of(i) < border
    ]


@given(ROWS, FILTERS)
def test_groups_count_exactly(rows, wanted):
    """Each group has its count, its oldest and its newest; the largest comes first."""
    table = filled(rows)
    matching = [row for row in rows if wanted.matches(as_letter(row))]
    groups = table.groups(wanted)
    assert {group.cause for group in groups} == {row[1] for row in matching}
    assert [g.count for g in groups] == sorted((g.count for g in groups), reverse=True)
    for group in groups:
        own = [row for row in matching if row[1] == group.cause]
        assert group.count == len(own)
        assert (group.first_id, group.last_id) == (identity(own[0]), identity(own[-1]))
        assert group.first_at == (when(own[0][3]) or None)
        assert group.last_at == (when(own[-1][3]) or None)
    chosen = [identity(row) for row in matching[::2]]
    assert sum(group.count for group in table.groups(Filter(), of=chosen)) == len(chosen)


def test_what_is_not_known_is_passed_over():
    """Dropping a strange id, or one twice, changes nothing."""
    table = filled([((1, 1), CAUSES[0], "", 0), ((3, 0), CAUSES[0], "", 0)])
    table.drop(["1-0", "2-0", "9-9", "1-1", "1-1"])
    assert list(table.ids(Filter())) == ["3-0"]
    assert len(table) == 1


def test_only_what_is_there_is_kept():
    """`keep` forgets every other letter."""
    table = filled([((n, 0), CAUSES[0], "", 0) for n in range(1, 6)])
    table.keep({"2-0", "5-0", "7-0"})
    assert list(table.ids(Filter())) == ["2-0", "5-0"]


def test_the_newest_is_remembered_though_it_is_gone(monkeypatch):
    """Rows of letters that are gone are cleared away, but the newest id stays where to go on."""
    monkeypatch.setattr(letter_table, "COMPACT_AT", 2)
    table = filled([((n, 0), CAUSES[n % 2], "", 0) for n in range(1, 10)])
    table.drop(f"{n}-0" for n in (9, 8, 1, 2, 3, 4))
    assert table.last_id == "9-0"
    assert list(table.ids(Filter())) == ["5-0", "6-0", "7-0"]
    assert len(table) == 3
    table.add("10-0", CAUSES[0], "", "")
    assert table.last_id == "10-0"
    table.drop(["5-0", "6-0", "7-0", "10-0"])
    assert len(table) == 0
    assert table.groups(Filter()) == []
    assert LetterTable().last_id == "0-0"

"""The sum of the ledger."""

from common.ledger import COUNTERS, Ledger


def test_the_sum_misses_what_is_nowhere():
    """Unaccounted is what was captured and stands nowhere."""
    ledger = Ledger(
        captured=100, filtered=10, duplicates=20, stored=30, dead=4, purged=5, lost=6, in_flight=7
    )
    assert ledger.unaccounted == 18


def test_what_comes_again_came_twice():
    """What is settled a second time stands on both sides of the sum."""
    assert Ledger(captured=10, redelivered=10, stored=20).unaccounted == 0
    assert Ledger(captured=10, stored=20).unaccounted == -10


def test_what_was_counted_on_the_way_is_not_part_of_the_sum():
    """Enriched, buried and replayed count what happened, not where events are."""
    assert Ledger(enriched=5, buried=6, replayed=7).unaccounted == 0


def test_without_knowing_what_is_in_flight_nothing_is_claimed():
    """Unaccounted is None while in flight is."""
    assert Ledger(captured=1, in_flight=None).unaccounted is None


def test_every_counter_is_a_field_of_the_hash():
    """All that is counted is read; what is in flight is measured."""
    others = {"in_flight", "corrected_s"}
    assert set(COUNTERS) | others == set(Ledger.__struct_fields__)
    assert not others & set(COUNTERS)

"""How fast events flow."""

from admin.rates import WINDOW_S, Rates
from common.ledger import Ledger


def test_nothing_is_known_at_first():
    """With fewer than two looks there is no rate."""
    rates = Rates()
    assert rates.window_s == 0.0
    assert rates.latest is None
    assert rates.per_second("captured") is None
    rates.add(10.0, Ledger(captured=5))
    assert rates.latest == Ledger(captured=5)
    assert rates.per_second("captured") is None


def test_a_rate_is_the_rise_over_the_last_minute():
    """Older looks do not count."""
    rates = Rates()
    rates.add(0.0, Ledger(captured=0))
    rates.add(30.0, Ledger(captured=300, stored=30))
    assert rates.per_second("captured") == 10.0
    assert rates.per_second("stored") == 1.0
    rates.add(30.0 + WINDOW_S, Ledger(captured=900))
    assert rates.window_s == WINDOW_S
    assert rates.per_second("captured") == 10.0
    assert rates.per_second("stored") == 0.0


def test_an_emptied_redis_starts_anew():
    """Counters that went back make no negative rate."""
    rates = Rates()
    rates.add(0.0, Ledger(captured=1000))
    rates.add(1.0, Ledger(captured=1))
    assert rates.per_second("captured") is None
    rates.add(2.0, Ledger(captured=3))
    assert rates.per_second("captured") == 2.0

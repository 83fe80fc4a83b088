"""How fast events flow."""

from admin.rates import KEPT, WINDOW_S, Rates
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


def test_rates_are_remembered_longer_than_looks():
    """Each look that is to be remembered leaves its rates, the newest so many of them."""
    rates = Rates()
    rates.remember()
    assert list(rates.past) == []
    for look in range(KEPT + 5):
        rates.add(look * 2.0, Ledger(captured=look * 10, stored=look))
        rates.remember()
        if not look:
            assert list(rates.past) == [(0.0, (None, None, None, None))]
    assert len(rates.past) == KEPT
    assert rates.past[0] == (10.0, (5.0, 0.0, 0.5, 0.0))
    assert rates.past[-1][0] == (KEPT + 4) * 2.0

"""The numbers for Prometheus."""

from datetime import UTC, datetime

from admin.desk import Overview
from admin.durability import Weakness
from admin.metrics import exposition
from common.ledger import Ledger

NOW = datetime(2026, 11, 20, 15, 44, 33, tzinfo=UTC)


def test_what_nobody_knows_is_absent():
    """A number that is not known is no zero."""
    text = exposition(Overview(ledger=Ledger(in_flight=None)), NOW).decode()
    assert "habus_dead_letters 0.0" in text
    assert "habus_events_in_flight" not in text
    assert "habus_events_unaccounted" not in text
    text = exposition(Overview(redis_error="away"), NOW).decode()
    assert "habus_dead_letters" not in text
    assert "habus_worker_up" not in text
    assert "habus_info{" in text


def test_the_durability_of_redis_is_a_number():
    """1 when it keeps all, 0 when it may lose some, absent while nobody has looked."""
    weak = [Weakness(is_wrong=True, text="it forgets", advice="set x")]
    for found, number in (([], "1.0"), (weak, "0.0")):
        text = exposition(Overview(ledger=Ledger(), weaknesses=found), NOW).decode()
        assert f"habus_redis_durability {number}" in text
    assert "durability" not in exposition(Overview(ledger=Ledger()), NOW).decode()

"""Hours that the spool can hold."""

import pytest

from common.buffer import hours_left


@pytest.mark.parametrize(
    ("free_bytes", "spool_bytes", "unsent", "event_bytes", "events_per_s", "hours"),
    [
        (3_600_000, 0, 0, 1_000, 1.0, 1.0),
        (1_800_000, 2_000_000, 200, 1_000, 1.0, 1.0),
        (0, 500_000, 900, 1_000, 1.0, 0.0),
        (10**9, 0, 0, 0, 1.0, None),
        (10**9, 0, 0, 1_000, 0.0, None),
    ],
)
def test_room_by_bytes_and_rate(  # noqa: PLR0913, PLR0917 - each is a column
    free_bytes, spool_bytes, unsent, event_bytes, events_per_s, hours
):
    """What is free, and what was sent, at the rate at which events come; unknown without one."""
    left = hours_left(
        free_bytes=free_bytes,
        spool_bytes=spool_bytes,
        unsent=unsent,
        event_bytes=event_bytes,
        events_per_s=events_per_s,
    )
    assert left == hours

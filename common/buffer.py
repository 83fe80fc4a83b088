"""How long the spool can hold what comes while Redis is away or full."""


def hours_left(
    *, free_bytes: int, spool_bytes: int, unsent: int, event_bytes: int, events_per_s: float
) -> float | None:
    """Hours until the disk under the spool is full.

    What was sent is deleted when room gets short, so it counts as room.

    Args:
        free_bytes: Bytes that are free on the disk.
        spool_bytes: What the spool's events take there.
        unsent: Events that wait in the spool.
        event_bytes: What one event takes on average.
        events_per_s: Events that come.

    Returns:
        None where the rate or the size of an event is not known.
    """
    if event_bytes <= 0 or events_per_s <= 0:
        return None
    sent_bytes = max(0, spool_bytes - unsent * event_bytes)
    return (free_bytes + sent_bytes) / event_bytes / events_per_s / 3600

"""What a simulated home is told before it starts."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Flavour:
    """How one version of Home Assistant differs on the wire.

    Attributes:
        version: What `ha_version` says.
        last_reported: Whether a state carries `last_reported`. Source: recordings.
        removed: JSON of a removed entity's state in history.
        says_goodbye: Whether a dropped client gets a close frame (1000) or none (1006).
        peak_s: Seconds above `PENDING_PEAK` until a slow client is dropped.
        linger_s: Seconds for which a stopping server waits for the client to close.
        registries: Generation of the registries: 1, without labels and floors on their items;
            2, with them and with times; 3, with child devices.
        rough_times: Whether history's times carry a part of a microsecond.
    """

    version: str
    last_reported: bool
    removed: bytes
    says_goodbye: bool
    peak_s: float
    linger_s: float
    registries: int
    rough_times: bool


FLAVOURS = {
    flavour.version: flavour
    for flavour in (
        Flavour("2024.3.3", False, b"null", False, 5.0, 0.0, 1, False),  # noqa: FBT003 - a table
        Flavour("2026.2.3", True, b"null", True, 10.0, 10.0, 2, True),  # noqa: FBT003 - a table
        Flavour("2026.11.0", True, b'""', True, 10.0, 10.0, 3, True),  # noqa: FBT003 - a table
    )
}
"""Versions that can be played, by name."""

PENDING_MOST = 4096
"""Messages waiting for one client at which Home Assistant drops it at once.

Source: homeassistant/components/websocket_api/const.py, MAX_PENDING_MSG.
"""

PENDING_PEAK = 1024
"""Messages waiting above which Home Assistant loses patience after `Flavour.peak_s`.

Source: homeassistant/components/websocket_api/const.py, PENDING_MSG_PEAK.
"""


@dataclass(frozen=True, slots=True)
class Settings:
    """One simulated home.

    Attributes:
        version: Key of `FLAVOURS`.
        rate: State changes a second, 0 to 50,000; 0: only when told.
        entities: Entities in all; the house has some 80, the rest are plain sensors. 0: as many
            as the rate asks for.
        seed: Of everything that looks random.
        run: Name of this run, in every state's attribute `run`; empty: one is made up.
        demo: Believable numbers instead of numbers that carry their `n`.
        token: The long-lived access token that is accepted.
        admin: Whether its user may subscribe to every event type.
        oracle: File that gets a line for each state change; empty: none.
        oracle_fsync: Whether each batch of lines is forced to the disk.
        frame_events: Most events in one coalesced frame.
        waits_for_slow: True: the home waits for a slow client. False: it drops it, as Home
            Assistant does.
        peak_s: Seconds above `PENDING_PEAK`; negative: as the version does.
        linger_s: Seconds a stopping server waits for the client to close; negative: as the
            version does.
        auth_timeout_s: Seconds in which the first message must come.
        commit_s: Interval in seconds at which the recorder makes new rows visible.
        history_h: Hours for which history is kept.
        history_rows: Rows of history in all; a ring for each entity.
        past_h: Hours of history that exist already at the start, one change each 10 minutes.
        recorder: Whether there is a recorder at all.
        happenings_s: Seconds between other things that happen by themselves (a rename, a removal,
            an automation); 0: never.
        deflate: Whether compression is accepted.
    """

    version: str = "2026.11.0"
    rate: float = 5.0
    entities: int = 0
    seed: int = 1
    run: str = ""
    demo: bool = False
    token: str = "simulated-long-lived-access-token"  # noqa: S105 - of a home that does not exist
    admin: bool = True
    oracle: str = ""
    oracle_fsync: bool = False
    frame_events: int = 100
    waits_for_slow: bool = False
    peak_s: float = -1.0
    linger_s: float = -1.0
    auth_timeout_s: float = 10.0
    commit_s: float = 5.0
    history_h: float = 240.0
    history_rows: int = 300_000
    past_h: float = 0.0
    recorder: bool = True
    happenings_s: float = 0.0
    deflate: bool = False

    @property
    def flavour(self) -> Flavour:
        """The version that is played."""
        return FLAVOURS[self.version]

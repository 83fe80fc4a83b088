"""What a Redis may lose, by the settings it has."""

import msgspec

from common.bus.server import ServerInfo

ALWAYS = "set appendonly yes and appendfsync always in redis.conf"
"""What keeps everything."""


class Weakness(msgspec.Struct, frozen=True):
    """A setting with which Redis may lose what it has taken.

    Attributes:
        is_wrong: Whether it loses much, or at any end; else little, and only with the machine.
        text: What can be lost.
        advice: What to set.
    """

    is_wrong: bool
    text: str
    advice: str

    def __str__(self) -> str:
        return f"Redis: {self.text}; {self.advice}"


def weaknesses(server: ServerInfo) -> list[Weakness]:
    """Name every setting with which this server keeps less than it takes; none: it keeps all.

    What ingest's spool still holds is sent again in any case: what is lost for good are events
    handed in, replays and dead letters of that time.
    """
    found = []
    match server.appendonly, server.appendfsync:
        case False, _ if server.saves is False:
            text = "it loses everything when it ends (AOF and snapshots are off)"
            found.append(Weakness(is_wrong=True, text=text, advice=ALWAYS))
        case False, _:
            text = "it loses everything since its last snapshot when it ends (AOF is off)"
            found.append(Weakness(is_wrong=True, text=text, advice=ALWAYS))
        case True, "no":
            text = "it loses half a minute when the machine fails (appendfsync no)"
            found.append(Weakness(is_wrong=False, text=text, advice="set appendfsync always"))
        case True, "everysec":
            text = "it loses up to two seconds when the machine fails (appendfsync everysec)"
            found.append(Weakness(is_wrong=False, text=text, advice="set appendfsync always"))
        case None, _:
            text = "it does not tell whether it keeps what it has"
            found.append(
                Weakness(is_wrong=False, text=text, advice="use a Redis server for real data")
            )
    if server.writes_fail:
        text = "it cannot write to its file, and loses what is not there when it ends"
        found.append(Weakness(is_wrong=True, text=text, advice="free some space on its disk"))
    if server.maxmemory_policy not in {None, "noeviction"}:
        text = f"it throws data away when it is full ({server.maxmemory_policy})"
        advice = "set maxmemory-policy noeviction"
        found.append(Weakness(is_wrong=bool(server.maxmemory_bytes), text=text, advice=advice))
    return found

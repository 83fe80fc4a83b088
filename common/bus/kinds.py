"""Keys that hold something else than what habus keeps there."""

from typing import Final

from redis.asyncio import Redis

from common.bus.keys import Keys

_KINDS: Final = {
    "raw": "stream",
    "inbox": "stream",
    "enriched": "stream",
    "dead": "stream",
    "audit": "stream",
    "registry": "hash",
    "ledger": "hash",
    "watermark": "hash",
    "backfill": "hash",
    "replays": "zset",
    "replays_running": "set",
}


async def wrong_kinds(redis: Redis, keys: Keys) -> str:
    """Return a sentence that names each key of the wrong type and what to do; or nothing.

    Raises:
        redis.exceptions.RedisError: When Redis does not answer.
    """
    found = []
    for name, kind in _KINDS.items():
        key = getattr(keys, name)
        reply = await redis.execute_command("TYPE", key)  # type: ignore[no-untyped-call]
        is_now = reply.decode()
        if is_now not in (kind, "none"):
            found.append(
                f"{key} holds a {is_now}, not the {kind} that habus keeps there; all waits until "
                f"it is gone: RENAME {key} {key}:old, or DEL {key}"
            )
    return "; ".join(found)

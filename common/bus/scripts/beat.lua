#!lua flags=allow-oom
-- Writes a heartbeat; what it takes is bounded, and a full Redis must not make workers look dead.
-- KEYS: heartbeat
-- ARGV: seconds until it expires, flat fields
-- Returns: nothing
redis.call('HSET', KEYS[1], unpack(ARGV, 2))
redis.call('EXPIRE', KEYS[1], ARGV[1])

#!lua flags=allow-oom
-- Writes how far a backfill is, unless somebody has cancelled it meanwhile.
-- KEYS: the hash of backfills
-- ARGV: id, JSON
-- Returns: whether it is still wanted
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
return 1

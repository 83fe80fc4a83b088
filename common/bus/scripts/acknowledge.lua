#!lua flags=allow-oom
-- Acknowledges entries whose effect stands, and counts those that were pending.
-- May run when Redis is full: or nothing could ever drain it.
-- KEYS: source, ledger
-- ARGV: group, counter, ids…
-- Returns: number acknowledged
redis.call('HLEN', KEYS[2])  -- of a wrong type it fails here, before anything is done
local acknowledged = 0
for from = 3, #ARGV, 1000 do
  acknowledged = acknowledged
    + redis.call('XACK', KEYS[1], ARGV[1], unpack(ARGV, from, math.min(from + 999, #ARGV)))
end
if acknowledged > 0 then redis.call('HINCRBY', KEYS[2], ARGV[2], acknowledged) end
if acknowledged > 0 and ARGV[2] == 'lost' then
  redis.call('HSET', KEYS[2], 'corrected_s', redis.call('TIME')[1])
end
return acknowledged

#!lua flags=allow-oom
-- Deletes dead letters for good, counts them, and writes the audit's line when there were any.
-- KEYS: dead, ledger, audit
-- ARGV: number of flat fields of the audit's line, those, letter ids…
-- Returns: number deleted
redis.call('HLEN', KEYS[2])  -- of a wrong type it fails here, before anything is done
redis.call('XLEN', KEYS[3])
local purged, line = 0, tonumber(ARGV[1])
for from = 2 + line, #ARGV, 1000 do
  purged = purged + redis.call('XDEL', KEYS[1], unpack(ARGV, from, math.min(from + 999, #ARGV)))
end
if purged > 0 then
  redis.call('HINCRBY', KEYS[2], 'dead', -purged)
  redis.call('HINCRBY', KEYS[2], 'purged', purged)
  if line > 0 then
    redis.call('XADD', KEYS[3], 'MAXLEN', '~', 10000, '*', unpack(ARGV, 2, 1 + line))
  end
end
return purged

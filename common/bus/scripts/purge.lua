#!lua flags=allow-oom
-- Deletes dead letters for good, and counts them.
-- KEYS: dead, ledger
-- ARGV: letter ids…
-- Returns: number deleted
local purged = 0
for from = 1, #ARGV, 1000 do
  purged = purged + redis.call('XDEL', KEYS[1], unpack(ARGV, from, math.min(from + 999, #ARGV)))
end
if purged > 0 then
  redis.call('HINCRBY', KEYS[2], 'dead', -purged)
  redis.call('HINCRBY', KEYS[2], 'purged', purged)
end
return purged

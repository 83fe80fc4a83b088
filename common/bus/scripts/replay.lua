#!lua
-- Puts a dead letter back into a stream, once, however many ask for it.
-- KEYS: dead, target, ledger, audit
-- ARGV: letter id, number of flat fields of the audit's line, those, flat fields of the entry
--       that the letter becomes
-- Returns: its new entry id, or nothing when the letter is gone
redis.call('HLEN', KEYS[3])  -- of a wrong type it fails here, before anything is done
redis.call('XLEN', KEYS[4])
if #redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1]) == 0 then return false end
local line = tonumber(ARGV[2])
local id = redis.call('XADD', KEYS[2], '*', unpack(ARGV, 3 + line))
redis.call('XDEL', KEYS[1], ARGV[1])
redis.call('HINCRBY', KEYS[3], 'dead', -1)
redis.call('HINCRBY', KEYS[3], 'replayed', 1)
if line > 0 then
  redis.call('XADD', KEYS[4], 'MAXLEN', '~', 10000, '*', unpack(ARGV, 3, 2 + line))
end
return id

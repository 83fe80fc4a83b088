#!lua
-- Puts a dead letter back into a stream, once, however many ask for it.
-- KEYS: dead, target, ledger
-- ARGV: letter id, flat fields of the entry it becomes
-- Returns: its new entry id, or nothing when the letter is gone
if #redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1]) == 0 then return false end
local id = redis.call('XADD', KEYS[2], '*', unpack(ARGV, 2))
redis.call('XDEL', KEYS[1], ARGV[1])
redis.call('HINCRBY', KEYS[3], 'dead', -1)
redis.call('HINCRBY', KEYS[3], 'replayed', 1)
return id

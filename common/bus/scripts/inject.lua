#!lua
-- Appends an event that a person hands in, and counts it as captured.
-- KEYS: inbox, ledger
-- ARGV: flat fields
-- Returns: its entry id
redis.call('HLEN', KEYS[2])  -- of a wrong type it fails here, before anything is done
local id = redis.call('XADD', KEYS[1], '*', unpack(ARGV))
redis.call('HINCRBY', KEYS[2], 'captured', 1)
return id

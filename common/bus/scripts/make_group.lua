#!lua flags=allow-oom
-- Makes a consumer group at the very beginning of its stream, where it is not there.
-- May run when Redis is full: or nobody could drain it.
-- KEYS: stream
-- ARGV: group
-- Returns: 1
local reply = redis.pcall('XGROUP', 'CREATE', KEYS[1], ARGV[1], '0', 'MKSTREAM')
if reply.err and not string.find(reply.err, 'BUSYGROUP') then return reply end
return 1

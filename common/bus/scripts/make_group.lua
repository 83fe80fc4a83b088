#!lua flags=allow-oom
-- Makes a consumer group at the very beginning of its stream, where it is not there.
-- May run when Redis is full: or nobody could drain it.
-- KEYS: stream
-- ARGV: group, then major and minor number of the oldest Redis that will do
-- Returns: 1
local told = redis.pcall('INFO', 'server') -- fakeredis has none
local major, minor = string.match(type(told) == 'string' and told or '', 'redis_version:(%d+)%.(%d+)')
if major and tonumber(major) * 1000 + tonumber(minor) < ARGV[2] * 1000 + ARGV[3] then
  return redis.error_reply(string.format('too old: this is Redis %s.%s', major, minor))
end
local reply = redis.pcall('XGROUP', 'CREATE', KEYS[1], ARGV[1], '0', 'MKSTREAM')
if reply.err and not string.find(reply.err, 'BUSYGROUP') then return reply end
return 1

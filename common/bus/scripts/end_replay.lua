#!lua flags=allow-oom
-- Ends a replay job that runs, and writes the audit's line with what came of it.
-- KEYS: job, audit
-- ARGV: new state, now as text, cause in words or nothing, seconds until the job is forgotten,
--       flat fields of the audit's line, whose count is put in
-- Returns: 1, or 0 when it does not run (any more)
if redis.call('HGET', KEYS[1], 'state') ~= 'running' then return 0 end
redis.call('HSET', KEYS[1], 'state', ARGV[1], 'finished_at', ARGV[2], 'updated_at', ARGV[2],
  'error', ARGV[3])
redis.call('EXPIRE', KEYS[1], ARGV[4])
local replayed = redis.call('HGET', KEYS[1], 'replayed') or '0'
local line = {unpack(ARGV, 5)}
for i = 1, #line, 2 do
  if line[i] == 'count' then line[i + 1] = replayed end
end
redis.call('XADD', KEYS[2], 'MAXLEN', '~', 10000, '*', unpack(line))
return 1

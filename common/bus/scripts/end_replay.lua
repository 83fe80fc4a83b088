#!lua flags=allow-oom
-- Ends a replay job that runs, and writes the audit's line with what came of it.
-- KEYS: job, audit, names of the jobs that run
-- ARGV: name of the job, new state, now as text, cause in words or nothing, seconds until the job is forgotten,
--       flat fields of the audit's line, whose count is put in
-- Returns: 1, or 0 when it does not run (any more)
redis.call('XLEN', KEYS[2])  -- of a wrong type it fails here, before anything is done
redis.call('SREM', KEYS[3], ARGV[1])
if redis.call('HGET', KEYS[1], 'state') ~= 'running' then return 0 end
redis.call('HSET', KEYS[1], 'state', ARGV[2], 'finished_at', ARGV[3], 'updated_at', ARGV[3],
  'error', ARGV[4])
redis.call('EXPIRE', KEYS[1], ARGV[5])
local replayed = redis.call('HGET', KEYS[1], 'replayed') or '0'
local line = {unpack(ARGV, 6)}
for i = 1, #line, 2 do
  if line[i] == 'count' then line[i + 1] = replayed end
end
redis.call('XADD', KEYS[2], 'MAXLEN', '~', 10000, '*', unpack(line))
return 1

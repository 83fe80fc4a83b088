#!lua
-- Writes down a replay job for whoever runs jobs, and the audit's line that says who asked for it.
-- KEYS: job, names of all jobs by their start, names of the jobs that run, audit
-- ARGV: name of the job, now in ms, most jobs that are kept, number of flat fields of the job,
--       those, flat fields of the audit's line
redis.call('ZCARD', KEYS[2])  -- of a wrong type it fails here, before anything is done
redis.call('SCARD', KEYS[3])
redis.call('XLEN', KEYS[4])
local fields = tonumber(ARGV[4])
redis.call('HSET', KEYS[1], unpack(ARGV, 5, 4 + fields))
redis.call('ZADD', KEYS[2], ARGV[2], ARGV[1])
redis.call('ZREMRANGEBYRANK', KEYS[2], 0, -ARGV[3] - 1)
redis.call('SADD', KEYS[3], ARGV[1])
redis.call('XADD', KEYS[4], 'MAXLEN', '~', 10000, '*', unpack(ARGV, 5 + fields))

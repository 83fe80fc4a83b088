#!lua
-- Does a part of a replay job: puts letters back where they fell, each once.
-- KEYS: dead, inbox, enriched, ledger, job
-- ARGV: who runs the job, now in ms, ms after which somebody else may run it, now as text,
--       "1" to replay expired letters too, ids of the letters…
-- Returns: state of the job (or "taken" while somebody else runs it), replayed, gone, ids of the
--          expired ones
local dead, inbox, enriched, ledger, job = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
redis.call('HLEN', ledger)  -- of a wrong type it fails here, before anything is done
local now = tonumber(ARGV[2])
local known = redis.call('HMGET', job, 'state', 'owner', 'owner_ms')
if known[1] ~= 'running' then return {known[1] or 'gone', 0, 0, {}} end
if known[2] and known[2] ~= ARGV[1] and now - tonumber(known[3]) < tonumber(ARGV[3]) then
  return {'taken', 0, 0, {}}
end

local replayed, gone, expired, last, failure = 0, 0, {}, nil, nil
for i = 6, #ARGV do
  local found = redis.call('XRANGE', dead, ARGV[i], ARGV[i])[1]
  if not found then
    gone = gone + 1
  else
    local own, stage, reason, replays = {}, '', '', 0
    local fields = found[2]
    for f = 1, #fields, 2 do
      local name, value = fields[f], fields[f + 1]
      if name == 'dead_stage' then stage = value
      elseif name == 'dead_reason' then reason = value
      elseif name == 'replays' then replays = tonumber(string.match(value, '^%d+$')) or 0
      elseif string.sub(name, 1, 5) ~= 'dead_' then
        own[#own + 1] = name
        own[#own + 1] = value
      end
    end
    if reason == 'outside_retention' and ARGV[5] ~= '1' then
      expired[#expired + 1] = ARGV[i]
    else
      own[#own + 1] = 'replays'
      own[#own + 1] = string.format('%.0f', replays + 1)
      local target = stage == 'store' and enriched or inbox
      local reply = redis.pcall('XADD', target, '*', unpack(own))
      if type(reply) == 'table' and reply.err then
        failure = reply
        break
      end
      redis.call('XDEL', dead, ARGV[i])
      replayed = replayed + 1
    end
  end
  last = ARGV[i]
end

if replayed > 0 then
  redis.call('HINCRBY', ledger, 'dead', -replayed)
  redis.call('HINCRBY', ledger, 'replayed', replayed)
  redis.call('HINCRBY', job, 'replayed', replayed)
end
if gone > 0 then redis.call('HINCRBY', job, 'gone', gone) end
if #expired > 0 then redis.call('HINCRBY', job, 'expired', #expired) end
if last then redis.call('HSET', job, 'cursor', last) end
redis.call('HSET', job, 'owner', ARGV[1], 'owner_ms', ARGV[2], 'updated_at', ARGV[4])
if failure then return failure end
return {'running', replayed, gone, expired}

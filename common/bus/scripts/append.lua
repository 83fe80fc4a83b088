#!lua
-- Appends what ingest spooled to `raw` (or, what it could not read, to `dead`), once.
-- KEYS: raw, dead, watermark, ledger
-- ARGV: spool, the position the sender knows, filtered so far, duplicates so far, complete until (each may be empty: not
--       said), then of each entry: "raw" or "dead", its id, number of flat fields, the fields
-- An entry at or below the position was appended before: it is passed over, so that a
-- batch whose answer was lost can be sent again. Ids only grow. When the stream lies behind
-- what the sender knows (Redis lost its tail, or was emptied), nothing is appended.
-- Returns: position, number appended
local raw, dead, watermark, ledger = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local owner = redis.call('HGET', watermark, 'spool')
if not owner then return redis.error_reply('BEHIND the watermark is gone') end
if owner ~= ARGV[1] then return redis.error_reply('NOTOWNER ' .. owner) end

local function parts(id)
  local ms, n = string.match(id, '^(%d+)-(%d+)$')
  return tonumber(ms), tonumber(n)
end

local last = '0-0'
local info = redis.pcall('XINFO', 'STREAM', raw)
if info.err then
  if redis.call('EXISTS', raw) == 1 then return info end
else
  for i = 1, #info, 2 do
    if info[i] == 'last-generated-id' then last = info[i + 1] end
  end
end
local seen = redis.call('HMGET', watermark, 'position', 'tail')
local position = last
if seen[1] and seen[2] == last then position = seen[1] end
local ms, n = parts(position)
if ARGV[2] ~= '' then
  local known_ms, known_n = parts(ARGV[2])
  if known_ms > ms or (known_ms == ms and known_n > n) then
    return redis.error_reply('BEHIND ' .. position)
  end
end

local tail, appended, buried, failure = last, 0, 0, nil
local i = 6
while i <= #ARGV do
  local target, id, count = ARGV[i], ARGV[i + 1], tonumber(ARGV[i + 2])
  local id_ms, id_n = parts(id)
  if id_ms > ms or (id_ms == ms and id_n > n) then
    local reply
    if target == 'raw' then
      reply = redis.pcall('XADD', raw, id, unpack(ARGV, i + 3, i + 2 + count))
    else
      reply = redis.pcall('XADD', dead, '*', unpack(ARGV, i + 3, i + 2 + count))
    end
    if type(reply) == 'table' and reply.err then
      failure = reply
      break
    end
    if target == 'raw' then tail = id else buried = buried + 1 end
    position, ms, n = id, id_ms, id_n
    appended = appended + 1
  end
  i = i + 3 + count
end

local captured = appended
for k, counter in ipairs({'filtered', 'duplicates'}) do
  if ARGV[k + 2] ~= '' then
    captured = captured + tonumber(ARGV[k + 2])
                        - tonumber(redis.call('HGET', ledger, counter) or 0)
    redis.call('HSET', ledger, counter, ARGV[k + 2])
  end
end
if captured ~= 0 then redis.call('HINCRBY', ledger, 'captured', captured) end
if buried > 0 then
  redis.call('HINCRBY', ledger, 'dead', buried)
  redis.call('HINCRBY', ledger, 'buried', buried)
end
redis.call('HSET', watermark, 'position', position, 'tail', tail)
if ARGV[5] ~= '' then redis.call('HSET', watermark, 'complete_until', ARGV[5]) end
if failure then return failure end
return {position, appended}

#!lua
-- Appends what ingest spooled to `raw` (or, what it could not read, to `dead`), once.
-- KEYS: raw, dead, watermark, ledger
-- ARGV: spool, the position the sender knows, filtered so far, duplicates so far, complete
--       until (the last four may be empty: not said), then of each row in the order of ids:
--       "event", its id, the values of id, type, entity_id, time, source, home, data; or
--       "letter", its id, number of flat fields, the flat fields
-- A row at or below the position was appended before: it is passed over, so that a batch whose
-- answer was lost can be sent again. When the stream lies behind what the sender knows (Redis
-- lost its tail, or was emptied), nothing is appended.
-- Returns: position, number appended
local raw, dead, watermark, ledger = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local owner = redis.call('HGET', watermark, 'spool')
if not owner then return redis.error_reply('BEHIND the watermark is gone') end
if owner ~= ARGV[1] then return redis.error_reply('NOTOWNER ' .. owner) end

local function parts(id)
  local ms, n = string.match(id, '^(%d+)-(%d+)$')
  return tonumber(ms), tonumber(n)
end

local function above(a, b)
  local a_ms, a_n = parts(a)
  local b_ms, b_n = parts(b)
  return a_ms > b_ms or (a_ms == b_ms and a_n > b_n)
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
-- A letter leaves no trace in `raw`; the watermark remembers, as long as `raw` is what it was.
local seen = redis.call('HMGET', watermark, 'position', 'tail')
local position, tail = last, last
if seen[1] and seen[2] == last then position = seen[1] end
if ARGV[2] ~= '' and above(ARGV[2], position) then
  return redis.error_reply('BEHIND ' .. position)
end

local appended, buried, is_new, failure = 0, 0, false, nil
local i = 6
while i <= #ARGV do
  local is_event, id = ARGV[i] == 'event', ARGV[i + 1]
  local width = is_event and 9 or 3 + tonumber(ARGV[i + 2])
  is_new = is_new or above(id, position)
  if is_new then
    local reply
    if is_event then
      reply = redis.pcall('XADD', raw, id, 'v', '1', 'id', ARGV[i + 2], 'type', ARGV[i + 3],
        'entity_id', ARGV[i + 4], 'time', ARGV[i + 5], 'source', ARGV[i + 6],
        'home', ARGV[i + 7], 'data', ARGV[i + 8])
    else
      reply = redis.pcall('XADD', dead, '*', unpack(ARGV, i + 3, i + width - 1))
    end
    if type(reply) == 'table' and reply.err then
      failure = reply
      break
    end
    position = id
    appended = appended + 1
    if is_event then tail = id else buried = buried + 1 end
  end
  i = i + width
end

local captured = appended
for k, counter in ipairs({'filtered', 'duplicates'}) do
  local total = ARGV[k + 2]
  if total ~= '' then
    captured = captured + tonumber(total) - tonumber(redis.call('HGET', ledger, counter) or 0)
    redis.call('HSET', ledger, counter, total)
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

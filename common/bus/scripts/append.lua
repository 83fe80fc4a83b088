#!lua
-- Appends what ingest spooled to `raw` (or, what it could not read, to `dead`), once.
-- KEYS: raw, dead, watermark, ledger
-- ARGV: spool, the position the sender knows, filtered so far, duplicates so far, complete
--       until (the last four may be empty: not said), then of each row in the order of ids:
--       an event: its id, the values of id, entity_id, time, data; or
--       "letter", its id, number of flat fields, the flat fields
--       and between them, before the events that have them: "shared", type, source, home
-- A row at or below the position was appended before: it is passed over, so that a batch whose
-- answer was lost can be sent again. When the stream is not where the sender knows it to be
-- (Redis lost its tail, was emptied, or somebody else wrote), nothing is appended.
-- Where `raw` alone was deleted its rows come again: up to where they had been appended (`again`)
-- they are counted as redelivered, not as captured, and `sent_again` lets `reconcile` take back
-- from that count those that nobody had settled.
-- Returns: position, number appended
local raw, dead, watermark, ledger = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
-- Looked at first: an error half-way would leave entries that nobody counted.
for i, kind in ipairs({'stream', '', 'hash', 'hash'}) do
  local is = redis.call('TYPE', KEYS[i])['ok']
  if kind ~= '' and is ~= kind and is ~= 'none' then
    return redis.error_reply('WRONGTYPE ' .. KEYS[i] .. ' is a ' .. is)
  end
end
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
if redis.call('EXISTS', raw) == 1 then
  local info = redis.call('XINFO', 'STREAM', raw)
  for i = 1, #info, 2 do
    if info[i] == 'last-generated-id' then last = info[i + 1] end
  end
end
-- A letter leaves no trace in `raw`; the watermark remembers, as long as `raw` is what it was.
local seen = redis.call('HMGET', watermark, 'position', 'tail', 'letters', 'told_by', 'again')
local position, tail, letters = last, last, seen[3] or '0-0'
if seen[1] and seen[2] == last then position = seen[1] end
if ARGV[2] ~= '' and ARGV[2] ~= position then
  local where = above(ARGV[2], position) and 'BEHIND ' or 'AHEAD '
  return redis.error_reply(where .. position)
end

local again = seen[5]
if seen[2] and above(seen[2], last) and not (again and above(again, seen[2])) then
  again = seen[2]
end
local appended, repeated, buried, is_new, failure = 0, 0, 0, false, nil
local type_, source, home
local i = 6
while i <= #ARGV do
  if ARGV[i] == 'shared' then
    type_, source, home = ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
    i = i + 4
  end
  local is_event = ARGV[i] ~= 'letter'  -- an id begins with a digit
  local id = is_event and ARGV[i] or ARGV[i + 1]
  local width = is_event and 5 or 3 + tonumber(ARGV[i + 2])
  is_new = is_new or above(id, position)
  if is_new then
    local reply
    if is_event then
      reply = redis.pcall('XADD', raw, id, 'v', '1', 'id', ARGV[i + 1], 'type', type_,
        'entity_id', ARGV[i + 2], 'time', ARGV[i + 3], 'source', source, 'home', home,
        'data', ARGV[i + 4])
    elseif above(id, letters) then  -- not buried before `raw` was emptied
      reply = redis.pcall('XADD', dead, '*', unpack(ARGV, i + 3, i + width - 1))
    end
    if type(reply) == 'table' and reply.err then
      failure = reply
      break
    end
    position = id
    if is_event then
      appended, tail = appended + 1, id
      if again and not above(id, again) then repeated = repeated + 1 end
    elseif reply then
      appended, buried, letters = appended + 1, buried + 1, id
    end
  end
  i = i + width
end

local captured = appended - repeated
for k, counter in ipairs({'filtered', 'duplicates'}) do
  local total = tonumber(ARGV[k + 2])
  if total then
    local told = seen[4] == ARGV[1] and tonumber(redis.call('HGET', watermark, counter)) or 0
    -- A spool that came back from a backup says less than before: that was counted already.
    local more = math.max(0, total - told)
    if more > 0 then redis.call('HINCRBY', ledger, counter, more) end
    captured = captured + more
    redis.call('HSET', watermark, counter, total, 'told_by', ARGV[1])
  end
end
if captured ~= 0 then redis.call('HINCRBY', ledger, 'captured', captured) end
if buried > 0 then
  redis.call('HINCRBY', ledger, 'dead', buried)
  redis.call('HINCRBY', ledger, 'buried', buried)
end
if repeated > 0 then
  redis.call('HINCRBY', ledger, 'redelivered', repeated)
  redis.call('HSET', ledger, 'corrected_s', redis.call('TIME')[1])
  redis.call('HINCRBY', watermark, 'sent_again', repeated)
end
if again and above(again, position) then
  redis.call('HSET', watermark, 'again', again)
elseif again then
  redis.call('HDEL', watermark, 'again')
end
redis.call('HSET', watermark, 'position', position, 'tail', tail, 'letters', letters)
if ARGV[5] ~= '' then redis.call('HSET', watermark, 'complete_until', ARGV[5]) end
if failure then return failure end
return {position, appended}

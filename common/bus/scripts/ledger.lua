#!lua flags=no-writes
-- Reads the counters and what is in flight at one instant; may put right what others broke.
-- KEYS: ledger, dead, watermark, raw, then the other streams
-- ARGV: most entries to count by hand, "read" or "reconcile", then the group of each stream
-- As `reconcile` (the same text, but it may write, also when Redis is full) it counts what the
-- sum misses as `lost`, and what it has too much as `redelivered`. While `raw` is behind what
-- was appended to it, ingest has yet to send that again: nothing is judged until it has.
-- Returns: the counters flat, dead letters, correction (0: none; lost is positive), of these
--          dead letters that are missing, then for each stream: entries its group has not read
--          (-1 when Redis cannot tell and there are too many to count, or when the key is no
--          stream), entries pending
local STEP = 1000
local FEW = 2000  -- unread entries that are counted one by one before anything is put right
local may_write = ARGV[2] == 'reconcile'

local function map(flat)
  local found = {}
  for i = 1, #flat, 2 do found[flat[i]] = flat[i + 1] end
  return found
end

local function parts(id)
  local ms, n = string.match(id, '^(%d+)-(%d+)$')
  return ms, n
end

local function below(a, b)
  local a_ms, a_n = parts(a)
  local b_ms, b_n = parts(b)
  -- compared as text of equal length: a Lua number would lose digits above 2^53
  if #a_ms ~= #b_ms then return #a_ms < #b_ms end
  if a_ms ~= b_ms then return a_ms < b_ms end
  if #a_n ~= #b_n then return #a_n < #b_n end
  return a_n < b_n
end

local function count(key, from, to)
  local counted, most = 0, tonumber(ARGV[1])
  while counted <= most do
    local asked = math.min(STEP, most - counted + 1)
    local rows = redis.call('XRANGE', key, from, to, 'COUNT', asked)
    counted = counted + #rows
    if #rows < asked then return counted end
    from = '(' .. rows[asked][1]
  end
  return nil
end

local function unread_of(key, stream, group)
  local last, length = group['last-delivered-id'], stream['length']
  if length == 0 or not below(last, stream['last-generated-id']) then return 0 end
  if below(last, stream['first-entry'][1]) then return length end
  -- Redis 6.2 has no lag, newer ones forget it after an XDEL; it counts what XTRIM took unread.
  -- After a restart with a torn AOF it may be off by a batch: a correction needs to be sure.
  if group['lag'] and group['lag'] <= length then
    if not may_write then return group['lag'] end
    if group['lag'] > FEW then return -1 end
  end
  local after = count(key, '(' .. last, '+')
  if after then return after end
  local before = count(key, '-', last)
  return before and length - before or -1
end

local function heal_lag(key, stream, group, unread)
  local added = stream['entries-added']
  if not added or unread < 0 or not group['lag'] or group['lag'] == unread then return end
  redis.pcall('XGROUP', 'SETID', key, group['name'], group['last-delivered-id'],
    'ENTRIESREAD', added - unread)
end

local ledger = map(redis.call('HGETALL', KEYS[1]))
local waiting, in_flight, raw_last = {}, 0, '0-0'
for s = 4, #KEYS do
  local unread, pending = 0, 0
  local info = redis.pcall('XINFO', 'STREAM', KEYS[s])
  if not info.err then
    local stream = map(info)
    unread = stream['length']
    if s == 4 then raw_last = stream['last-generated-id'] end
    for _, flat in ipairs(redis.call('XINFO', 'GROUPS', KEYS[s])) do
      local group = map(flat)
      if group['name'] == ARGV[s - 1] then
        pending = group['pending']
        unread = unread_of(KEYS[s], stream, group)
        if may_write then heal_lag(KEYS[s], stream, group, unread) end
      end
    end
  elseif redis.call('TYPE', KEYS[s])['ok'] ~= 'none' then
    unread = -1  -- of a wrong type: the stream may stand aside, and come back
  end
  waiting[#waiting + 1] = unread
  waiting[#waiting + 1] = pending
  in_flight = in_flight and unread >= 0 and in_flight + unread + pending or false
end

local length = redis.pcall('XLEN', KEYS[2])
local letters = type(length) == 'number' and length or 0
if type(length) ~= 'number' then in_flight = false end
local function counter(name) return tonumber(ledger[name] or 0) end
local correction, gone = 0, 0
local kind = redis.call('TYPE', KEYS[3])['ok']
local mark = kind == 'hash' and map(redis.call('HGETALL', KEYS[3])) or {}
local awaits = mark['again'] or mark['tail'] and below(raw_last, mark['tail'])
if may_write and in_flight and not awaits then
  correction = counter('captured') + counter('redelivered') - counter('filtered')
    - counter('duplicates') - counter('stored') - counter('purged') - counter('lost')
    - letters - in_flight
  gone = counter('dead') - letters
  -- Sent again, and not settled before: it came once.
  local once = math.max(0, math.min(correction, tonumber(mark['sent_again'] or 0)))
  if once > 0 then redis.call('HINCRBY', KEYS[1], 'redelivered', -once) end
  if mark['sent_again'] then redis.call('HDEL', KEYS[3], 'sent_again') end
  correction = correction - once
  if correction ~= 0 then
    local name = correction > 0 and 'lost' or 'redelivered'
    redis.call('HINCRBY', KEYS[1], name, math.abs(correction))
    local now = redis.call('TIME')
    redis.call('HSET', KEYS[1], 'corrected_s', now[1])
  end
  if gone ~= 0 then redis.call('HSET', KEYS[1], 'dead', letters) end
end
return {redis.call('HGETALL', KEYS[1]), letters, correction, gone, unpack(waiting)}

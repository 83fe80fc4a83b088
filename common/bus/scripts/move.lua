#!lua
-- Moves deliveries on: appends each to its target, then acknowledges it, then counts.
-- KEYS: source, next stream, dead, ledger
-- ARGV: group, consumer, first id, last id, number of entries, then of each entry:
--       an event: its id in source, and the values of id, entity_id, time, data that go to the
--       next stream; or
--       "next" or "dead", its id in source, number of flat fields, the flat fields
--       and between them, before the events that have them: "shared", type, source, home
-- An entry that this consumer does not hold (any more) is left alone: another worker has
-- claimed it, or an earlier try of the same move went through.
-- Returns: number forwarded, number buried, number not ours
local source, next_stream, dead, ledger = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local group, consumer = ARGV[1], ARGV[2]
redis.call('HLEN', ledger)  -- of a wrong type it fails here, before anything is done

local ours = {}
local held = redis.pcall('XPENDING', source, group, ARGV[3], ARGV[4], ARGV[5], consumer)
local is_gone = held.err and string.find(held.err, 'NOGROUP')  -- then nobody holds anything
if is_gone then held = {} elseif held.err then return held end
for _, row in ipairs(held) do ours[row[1]] = true end

local function holds(id)
  return ours[id] or not is_gone and #redis.call('XPENDING', source, group, id, id, 1, consumer) > 0
end

local done, buried, strange, failure = {}, 0, 0, nil
local type_, came_by, home
local i = 6
while i <= #ARGV do
  if ARGV[i] == 'shared' then
    type_, came_by, home = ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
    i = i + 4
  end
  local kind = ARGV[i]
  local is_event = kind ~= 'next' and kind ~= 'dead'  -- an id begins with a digit
  local id = is_event and kind or ARGV[i + 1]
  local width = is_event and 5 or 3 + tonumber(ARGV[i + 2])
  if holds(id) then
    local reply
    if is_event then
      reply = redis.pcall('XADD', next_stream, '*', 'v', '1', 'id', ARGV[i + 1], 'type', type_,
        'entity_id', ARGV[i + 2], 'time', ARGV[i + 3], 'source', came_by, 'home', home,
        'data', ARGV[i + 4])
    else
      local target = kind == 'next' and next_stream or dead
      reply = redis.pcall('XADD', target, '*', unpack(ARGV, i + 3, i + width - 1))
    end
    if type(reply) == 'table' and reply.err then
      failure = reply
      break
    end
    done[#done + 1] = id
    if kind == 'dead' then buried = buried + 1 end
  else
    strange = strange + 1
  end
  i = i + width
end

for from = 1, #done, 1000 do
  redis.call('XACK', source, group, unpack(done, from, math.min(from + 999, #done)))
end
if #done > buried then redis.call('HINCRBY', ledger, 'enriched', #done - buried) end
if buried > 0 then
  redis.call('HINCRBY', ledger, 'dead', buried)
  redis.call('HINCRBY', ledger, 'buried', buried)
end
if failure then return failure end
return {#done - buried, buried, strange}

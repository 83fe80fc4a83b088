#!lua
-- Moves deliveries on: appends each to its target, then acknowledges it, then counts.
-- KEYS: source, next stream, dead, ledger
-- ARGV: group, consumer, first id, last id, number of entries, then of each entry:
--       "forward" or "bury", its id in source, number of flat fields, the flat fields
-- An entry that this consumer does not hold (any more) is left alone: another worker has
-- claimed it, or an earlier try of the same move went through.
-- Returns: number forwarded, number buried, number not ours
local source, next_stream, dead, ledger = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local group, consumer = ARGV[1], ARGV[2]

local ours = {}
local held = redis.call('XPENDING', source, group, ARGV[3], ARGV[4], ARGV[5], consumer)
for _, row in ipairs(held) do ours[row[1]] = true end

local function holds(id)
  if ours[id] then return true end
  return #redis.call('XPENDING', source, group, id, id, 1, consumer) > 0
end

local done, forwarded, buried, strange, failure = {}, 0, 0, 0, nil
local i = 6
while i <= #ARGV do
  local kind, id, count = ARGV[i], ARGV[i + 1], tonumber(ARGV[i + 2])
  if holds(id) then
    local target = kind == 'forward' and next_stream or dead
    local reply = redis.pcall('XADD', target, '*', unpack(ARGV, i + 3, i + 2 + count))
    if type(reply) == 'table' and reply.err then
      failure = reply
      break
    end
    done[#done + 1] = id
    if kind == 'forward' then forwarded = forwarded + 1 else buried = buried + 1 end
  else
    strange = strange + 1
  end
  i = i + 3 + count
end

for from = 1, #done, 1000 do
  redis.call('XACK', source, group, unpack(done, from, math.min(from + 999, #done)))
end
if forwarded > 0 then redis.call('HINCRBY', ledger, 'enriched', forwarded) end
if buried > 0 then
  redis.call('HINCRBY', ledger, 'dead', buried)
  redis.call('HINCRBY', ledger, 'buried', buried)
end
if failure then return failure end
return {forwarded, buried, strange}

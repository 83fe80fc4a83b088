#!lua flags=allow-oom
-- Deletes old entries, but none that a group has not acknowledged.
-- KEYS: stream
-- ARGV: id below which entries are old; id above which the newest one says nothing about its
--       age, because a clock was wrong once (ids never fall): then nothing stays for inspection
-- Returns: number deleted
local function below(a, b)
  local a_ms, a_n = string.match(a, '^(%d+)-(%d+)$')
  local b_ms, b_n = string.match(b, '^(%d+)-(%d+)$')
  -- compared as text of equal length: a Lua number would lose digits above 2^53
  if #a_ms ~= #b_ms then return #a_ms < #b_ms end
  if a_ms ~= b_ms then return a_ms < b_ms end
  if #a_n ~= #b_n then return #a_n < #b_n end
  return a_n < b_n
end

local groups = redis.pcall('XINFO', 'GROUPS', KEYS[1])
if groups.err or #groups == 0 then return 0 end
local limit = ARGV[1]
local info = redis.call('XINFO', 'STREAM', KEYS[1])
for i = 1, #info, 2 do
  if info[i] == 'last-generated-id' and below(ARGV[2], info[i + 1]) then limit = info[i + 1] end
end
for _, flat in ipairs(groups) do
  local group = {}
  for i = 1, #flat, 2 do group[flat[i]] = flat[i + 1] end
  local needed = group['last-delivered-id']
  local pending = redis.call('XPENDING', KEYS[1], group['name'])
  if pending[1] > 0 and below(pending[2], needed) then needed = pending[2] end
  if below(needed, limit) then limit = needed end
end
return redis.call('XTRIM', KEYS[1], 'MINID', '~', limit)

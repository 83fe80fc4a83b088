#!lua flags=no-writes
-- Reads the counters and what is in flight at one instant.
-- KEYS: ledger, then the streams
-- ARGV: most entries to count by hand, then the group of each stream
-- Returns: the counters flat, then for each stream: entries its group has not read (-1 when
--          Redis cannot tell and there are too many to count), entries pending
local function count_after(stream, id)
  local count = #redis.call('XRANGE', stream, '(' .. id, '+', 'COUNT', ARGV[1])
  if count == tonumber(ARGV[1]) then return -1 end
  return count
end

local answer = {redis.call('HGETALL', KEYS[1])}
for s = 2, #KEYS do
  local unread, pending = 0, 0
  local groups = redis.pcall('XINFO', 'GROUPS', KEYS[s])
  if not groups.err then
    unread = redis.call('XLEN', KEYS[s])
    for _, flat in ipairs(groups) do
      local group = {}
      for i = 1, #flat, 2 do group[flat[i]] = flat[i + 1] end
      if group['name'] == ARGV[s] then
        pending = group['pending']
        -- Redis 6.2 has no lag, and newer ones forget it after an XDEL
        unread = group['lag'] or count_after(KEYS[s], group['last-delivered-id'])
      end
    end
  end
  answer[#answer + 1] = unread
  answer[#answer + 1] = pending
end
return answer

#!lua flags=allow-oom
-- Deletes a consumer that is gone, unless it holds entries: those would be lost with it.
-- KEYS: stream, heartbeat of the consumer
-- ARGV: group, consumer, milliseconds that it must have been idle
-- Returns: number deleted
local consumers = redis.pcall('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])
if consumers.err or redis.call('EXISTS', KEYS[2]) == 1 then return 0 end
for _, flat in ipairs(consumers) do
  local found = {}
  for i = 1, #flat, 2 do found[flat[i]] = flat[i + 1] end
  if found['name'] == ARGV[2] and found['pending'] == 0
      and found['idle'] >= tonumber(ARGV[3]) then
    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], ARGV[2])
    return 1
  end
end
return 0

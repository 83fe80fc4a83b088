#!lua flags=no-writes
-- Reads what the index of dead letters needs, and how many letters there are at that instant.
-- KEYS: dead
-- ARGV: id after which to begin, most letters; with a third argument the ids alone, up to it
-- Returns: number of letters, id of the oldest or nothing, then flat of each letter: id, stage,
--          reason, fingerprint, entity_id, dead_at; or just its id
local names = {dead_stage = 2, dead_reason = 3, dead_fingerprint = 4, entity_id = 5, dead_at = 6}
local oldest = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)
local answer = {redis.call('XLEN', KEYS[1]), oldest[1] and oldest[1][1] or ''}
local rows = redis.call('XRANGE', KEYS[1], '(' .. ARGV[1], ARGV[3] or '+', 'COUNT', ARGV[2])
for _, row in ipairs(rows) do
  if ARGV[3] then
    answer[#answer + 1] = row[1]
  else
    local found = {row[1], '', '', '', '', ''}
    local fields = row[2]
    for i = 1, #fields, 2 do
      local place = names[fields[i]]
      if place then found[place] = fields[i + 1] end
    end
    for i = 1, 6 do answer[#answer + 1] = found[i] end
  end
end
return answer

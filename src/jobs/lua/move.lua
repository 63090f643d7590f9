-- Moves a job to another state, if it is in one that allows it and, where a run is given, in that run.
-- ARGV: id, RUN:WORKER or RUN or '', allowed states (comma-separated), new state, then field, value, … to set; an empty value removes
-- Returns { 1, tokens… }, or { 0, state or '' } where it is not moved
local id, allowed, to = ARGV[1], ARGV[3], ARGV[4]
local record = P .. 'job:' .. id
local from = redis.call('HGET', record, 'state')
if not from then return { 0, '' } end
if not string.find(',' .. allowed .. ',', ',' .. from .. ',', 1, true) then return { 0, from } end
if not is_with(id, ARGV[2]) then return { 0, from } end
-- A lifecycle action that was told of meanwhile is still to be completed.
local waits = redis.call('HEXISTS', record, 'lifecycle') == 1 and redis.call('HEXISTS', record, 'step:complete-lifecycle') == 0
if to == 'done' and waits then return { 0, from } end

for i = 5, #ARGV, 2 do
  if ARGV[i + 1] == '' then redis.call('HDEL', record, ARGV[i])
  else redis.call('HSET', record, ARGV[i], ARGV[i + 1]) end
end
local tokens = { 1 }
if to == 'queued' and not open(from) then
  reopen(id, tokens)
else
  set_state(id, to)
  if open(from) and not open(to) then leave_lines(id, tokens) end
end
return tokens

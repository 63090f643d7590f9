-- Moves a job to another state, if it is in one that allows it and, where a run is given, in that run.
-- ARGV: id, RUN:WORKER or RUN or '', allowed states (comma-separated), new state, then field, value, … to set; an empty value removes
-- Returns { 1, tokens… }, or { 0, state or '' } where it is not moved
local allowed, to = ARGV[3], ARGV[4]
local job = job_of(ARGV[1])
local from = job.state
if not from then return { 0, '' } end
if not string.find(',' .. allowed .. ',', ',' .. from .. ',', 1, true) then return { 0, from } end
if not is_with(job.id, ARGV[2]) then return { 0, from } end
-- A lifecycle action that was told of meanwhile is still to be completed.
if to == 'done' then
  local lifecycle, completed = unpack(redis.call('HMGET', job.record, 'lifecycle', 'step:complete-lifecycle'))
  if lifecycle and not completed then return { 0, from } end
end

local set = {}
for i = 5, #ARGV, 2 do
  if ARGV[i + 1] ~= '' then
    set[#set + 1] = ARGV[i]
    set[#set + 1] = ARGV[i + 1]
  else
    redis.call('HDEL', job.record, ARGV[i])
  end
end
local tokens = { 1 }
if to == 'queued' and not open(from) then
  if #set > 0 then redis.call('HSET', job.record, unpack(set)) end
  reopen(job, tokens)
else
  set_state(job, to, unpack(set))
  if open(from) and not open(to) then leave_lines(job, tokens) end
end
return tokens

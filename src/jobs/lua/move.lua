-- Moves a job to another state, if it is in one that allows it and, if a run is given, in that run.
-- ARGV: id, RUN:WORKER or RUN or '', allowed states (comma-separated), new state, what the worker had heard or '',
-- 'release' to give up the instance's identity or 'again' to forget the steps or '', then field, value, … to set; an
-- empty value removes
-- Returns { 1, tokens… }, or { 0, state or '' } if it is not moved, or { 0, 'running', 'heard' } if something was added
-- to the job since the worker read it
local allowed, to, heard, how = ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local job = job_of(ARGV[1])
local from = job.state
if not from then return { 0, '' } end
if not string.find(',' .. allowed .. ',', ',' .. from .. ',', 1, true) then return { 0, from } end
if not is_with(job.id, ARGV[2]) then return { 0, from } end
if heard ~= '' and heard ~= redis.call('HGET', job.record, 'heard') then return { 0, from, 'heard' } end

local set, removed = {}, {}
for i = 7, #ARGV, 2 do
  if ARGV[i + 1] ~= '' then
    set[#set + 1] = ARGV[i]
    set[#set + 1] = ARGV[i + 1]
  else
    removed[#removed + 1] = ARGV[i]
  end
end
if #removed > 0 then redis.call('HDEL', job.record, unpack(removed)) end
if how == 'again' then forget_steps(job) end
if how == 'release' then
  local known = P .. 'known:delete:' .. (redis.call('HGET', job.record, 'instanceId') or '')
  if redis.call('HGET', known, 'job') == job.id then redis.call('DEL', known) end
end
local tokens = { 1 }
if to == 'queued' and not open(from) then
  reopen(job, tokens, unpack(set))
elseif open(from) and not open(to) then
  if to == 'held' and tonumber(redis.call('HGET', job.record, 'rank') or 2) < 2 then quarantine(job) end
  leave_lines(job, tokens, to, unpack(set))
else
  set_state(job, to, unpack(set))
end
return tokens

-- A working job learns which node (or instance) it is about, and takes the first place in that line as well; where
-- another is before it, it goes back to wait for its turn.
-- ARGV: id, RUN:WORKER or RUN, key, index, field, value     e.g. ID 1:W n:web-1 node:web-1 node web-1
-- Returns { 1 } when it goes on; { 0, tokens… } when it waits; { -1 } when it is no longer with this worker
local key, job = ARGV[3], job_of(ARGV[1])
if job.state ~= 'running' or not is_with(job.id, ARGV[2]) then return { -1 } end

redis.call('HSET', job.record, ARGV[5], ARGV[6])
redis.call('ZADD', P .. ARGV[4], job.seq, job.id)
undo_deaths(job)
local has = false
for _, k in ipairs(job.keys) do has = has or k == key end
if not has then
  local turn = redis.call('ZSCORE', P .. 'line:' .. job.keys[1], job.id)
  job.keys[#job.keys + 1] = key
  redis.call('HSET', job.record, 'keys', cjson.encode(job.keys))
  redis.call('ZADD', P .. 'line:' .. key, turn, job.id)
end
local active = redis.call('HGET', P .. 'active', key)
local first = redis.call('ZRANGE', P .. 'line:' .. key, 0, 0)[1]
if active == job.id then return { 1 } end
if not active and first == job.id then
  redis.call('HSET', P .. 'active', key, job.id)
  return { 1 }
end

local tokens = { 0 }
stop_working(job)
set_state(job, 'queued')
try_next(job.keys, tokens)
return tokens

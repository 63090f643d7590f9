-- A working job learns which node (or instance) it is about, and joins that line at its own place. If another job is
-- before it there, it goes back to wait for its turn.
-- ARGV: id, RUN:WORKER or RUN, key, index, field, value     e.g. ID 1:W n:web-1 node:web-1 node web-1
-- Returns { 1 } when it goes on; { 0, tokens… } when it waits; { -1 } when it is no longer with this worker
local key, job = ARGV[3], job_of(ARGV[1])
if job.state ~= 'running' or not is_with(job.id, ARGV[2]) then return { -1 } end

local turn = redis.call('ZSCORE', P .. 'line:' .. job.keys[1], job.id)
local has = false
for _, k in ipairs(job.keys) do has = has or k == key end
if not has then job.keys[#job.keys + 1] = key end
redis.call('HSET', job.record, ARGV[5], ARGV[6], 'keys', cjson.encode(job.keys))
redis.call('ZADD', P .. ARGV[4], job.seq, job.id)
redis.call('ZADD', P .. 'line:' .. key, turn, job.id)
remember_ensure(job)
local active = redis.call('HGET', P .. 'active', key)
local first = redis.call('ZRANGE', P .. 'line:' .. key, 0, 0)[1]
if active == job.id then return { 1 } end
if not active and first == job.id then
  redis.call('HSET', P .. 'active', key, job.id)
  return { 1 }
end

local tokens = { 0 }
stop_working(job)
try_next(job.keys, tokens)
set_state(job, 'queued', 'run', job.run + 1)
return tokens

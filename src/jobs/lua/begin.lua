-- A worker begins a job, or goes on with it, if the job is open and still in this run. A worker that was paused before
-- this point must not take a job from the worker that has it now: BullMQ's lock is checked in the same step.
-- ARGV: id, run, worker, key of BullMQ's lock, what this worker put there
-- Returns field, value, … of the record; 0 if the lock is lost; nothing if there is nothing to do
if redis.call('GET', P .. ARGV[4]) ~= ARGV[5] then return 0 end
local job = job_of(ARGV[1])
if not open(job.state) or tostring(job.run) ~= ARGV[2] then return nil end
for _, key in ipairs(job.keys) do
  redis.call('HSETNX', P .. 'active', key, job.id)
  -- It is queued again when that one leaves the line.
  if redis.call('HGET', P .. 'active', key) ~= job.id then return nil end
end
redis.call('HINCRBY', job.record, 'attempts', 1)
redis.call('HDEL', job.record, 'error', 'reasons')
set_state(job, 'running', 'worker', ARGV[3])
return redis.call('HGETALL', job.record)

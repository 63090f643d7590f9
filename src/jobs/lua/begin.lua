-- A worker begins a job, or goes on with it, where the job is open and still in this run. Who was stopped on the way
-- here must not take it from the one who has it by now: BullMQ's lock tells, in the same step.
-- ARGV: id, run, worker, key of BullMQ's lock, what this worker put there
-- Returns field, value, … of the record; 0 where the lock is lost; nothing where there is nothing to do
if redis.call('GET', P .. ARGV[4]) ~= ARGV[5] then return 0 end
local job = job_of(ARGV[1])
if not open(job.state) or redis.call('HGET', job.record, 'run') ~= ARGV[2] then return nil end
redis.call('HINCRBY', job.record, 'attempts', 1)
redis.call('HDEL', job.record, 'error')
set_state(job, 'running', 'worker', ARGV[3])
return redis.call('HGETALL', job.record)

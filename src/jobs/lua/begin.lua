-- A worker begins a job, or goes on with it, where the job is open and still in this run. Who was stopped on the way
-- here must not take it from the one who has it by now: BullMQ's lock tells, in the same step.
-- ARGV: id, run, worker, key of BullMQ's lock, what this worker put there
-- Returns field, value, … of the record; 0 where the lock is lost; nothing where there is nothing to do
local id, run, record = ARGV[1], ARGV[2], P .. 'job:' .. ARGV[1]
if redis.call('GET', P .. ARGV[4]) ~= ARGV[5] then return 0 end
local state, current = unpack(redis.call('HMGET', record, 'state', 'run'))
if current ~= run or not open(state) then return nil end
redis.call('HINCRBY', record, 'attempts', 1)
redis.call('HSET', record, 'worker', ARGV[3])
redis.call('HDEL', record, 'error')
set_state(id, 'running')
return redis.call('HGETALL', record)

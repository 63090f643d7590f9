-- Asked right before each change in Chef, in one step: whether this worker still has the job and BullMQ's lock (which is
-- extended), whether an `ensure` was said after the deletion, and the note that chef-client must run after the change.
-- ARGV: id, RUN:WORKER, key of BullMQ's lock, what this worker put there, new life of the lock in ms, 'overruled' if a
-- person approved that an `ensure` was said later
-- Returns 1; 0 if another worker has the job now; { ms, ms } if an `ensure` was said later: when, and when by a person
local job = job_of(ARGV[1])
if not is_with(job.id, ARGV[2]) or redis.call('GET', P .. ARGV[3]) ~= ARGV[4] then return 0 end
redis.call('SET', P .. ARGV[3], ARGV[4], 'PX', ARGV[5])
if job.kind == 'delete' then
  local node, instance, said, rank = unpack(redis.call('HMGET', job.record, 'node', 'instanceId', 'saidAt', 'rank'))
  local ensured = last_said('ensured', node, instance)
  if ensured >= tonumber(said) and ARGV[6] ~= 'overruled' then return { ensured, last_said('restored', node, instance) } end
  -- A host that deletes its own node may name another's instance.
  remember_said('deleted', node, tonumber(rank or 3) >= 3 and instance, said)
end
redis.call('HSET', job.record, 'touched', 1)
stamp_change(job.id)
return 1

-- Removes the records of the jobs that ended longest ago, with their places in every list. Of each, one identity is kept,
-- so that its termination is recognised when it is announced again. The place in `finished` goes last: a script that failed
-- before is run again for the same jobs.
-- ARGV: age in ms from which on a job is removed, how many at most
-- Returns how many there were
local function forget_deleted(name, said)
  local deleted = name and tonumber(redis.call('HGET', P .. name, 'deleted'))
  if deleted and deleted <= tonumber(said) then redis.call('HDEL', P .. name, 'deleted') end
end

local due = redis.call('ZRANGEBYSCORE', P .. 'finished', '-inf', now_ms() - tonumber(ARGV[1]), 'LIMIT', 0, ARGV[2])
for _, id in ipairs(due) do
  local job = job_of(id)
  if finished(job.state) then
    local node, instance, said = unpack(redis.call('HMGET', job.record, 'node', 'instanceId', 'saidAt'))
    -- The first one finds it; the one with the node's name is needed only where it has no other.
    for at, identity in ipairs(identities_of(job)) do
      if at == 1 then remember_past(identity, id) end
      redis.call('DEL', P .. 'known:' .. identity)
    end
    -- An `ensure` that was said before this deletion would be stale.
    forget_deleted(node and 'said:n:' .. node, said)
    forget_deleted(instance and 'said:i:' .. instance, said)
    remove_record(job)
  end
  redis.call('ZREM', P .. 'finished', id)
end
return #due

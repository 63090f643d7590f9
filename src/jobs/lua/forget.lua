-- Removes the records of the jobs that ended longest ago, with their places in every list. Of each, one identity is kept,
-- so that its termination is known when it is told of again. The place in `finished` goes last: a script that failed
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
    local node, instance, identities, said = unpack(redis.call('HMGET', job.record, 'node', 'instanceId', 'identities', 'saidAt'))
    local kept = false
    -- The first that is the job's own finds it; the one with the node's name is needed only where it has no other.
    for _, identity in ipairs(cjson.decode(identities or '[]')) do
      local known = P .. 'known:' .. identity
      local owner, request = unpack(redis.call('HMGET', known, 'job', 'body'))
      if owner == id and not request then
        if not kept then remember_past(identity, id) end
        kept = true
        redis.call('DEL', known)
      end
    end
    -- An `ensure` that was said before this deletion would be stale.
    forget_deleted(node and 'said:n:' .. node, said)
    forget_deleted(instance and 'said:i:' .. instance, said)
    redis.call('ZREM', P .. 'list:' .. job.kind .. ':' .. job.state, id)
    if node then redis.call('ZREM', P .. 'node:' .. node, id) end
    if instance then redis.call('ZREM', P .. 'instance:' .. instance, id) end
    redis.call('UNLINK', job.record)
  end
  redis.call('ZREM', P .. 'finished', id)
end
return #due

-- Opens a job again that was done, since its node is there again; not if an `ensure` was said after it, which undid the
-- termination.
-- ARGV: id, facts (JSON)
-- Returns { 1, tokens… }, or { 0, state or 'undone' or '' }
local job, tokens = job_of(ARGV[1]), { 1 }
if job.state ~= 'done' then return { 0, job.state or '' } end
local node, instance, said = unpack(redis.call('HMGET', job.record, 'node', 'instanceId', 'saidAt'))
if last_said('ensured', node, instance) >= tonumber(said) then return { 0, 'undone' } end
redis.call('HDEL', job.record, 'approvedBy', 'approvedFor')
forget_steps(job)
reopen(job, tokens, 'facts', ARGV[2])
return tokens

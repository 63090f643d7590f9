-- Opens a job again that was done, to do some of its steps once more with all its guards; not where an `ensure` came
-- after it, which undid the death.
-- ARGV: id, facts (JSON), field of the record to forget…
-- Returns { 1, tokens… }, or { 0, state or 'undone' or '' }
local id, tokens = ARGV[1], { 1 }
local record = P .. 'job:' .. id
local state, node, instance, seq = unpack(redis.call('HMGET', record, 'state', 'node', 'instanceId', 'seq'))
if state ~= 'done' then return { 0, state or '' } end

local function restored(list)
  for _, later in ipairs(redis.call('ZRANGEBYSCORE', P .. list, '(' .. seq, '+inf')) do
    if redis.call('HGET', P .. 'job:' .. later, 'kind') == 'ensure' then return true end
  end
  return false
end
if node and restored('node:' .. node) or instance and restored('instance:' .. instance) then return { 0, 'undone' } end

redis.call('HDEL', record, 'approvedBy', 'approvedFor', unpack(ARGV, 3))
redis.call('HSET', record, 'facts', ARGV[2])
reopen(job_of(id), tokens)
return tokens

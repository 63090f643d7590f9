-- Takes one event in as a job, or tells which job already has it.
-- ARGV: arrival (JSON: id, kind, identity, publishedAt, state, keys, node?, instanceId?), then field, value, … of the record
-- Returns { job id, 'accepted' or 'duplicate', tokens… }
local arrival = cjson.decode(ARGV[1])
local id, known, tokens = arrival.id, P .. 'known:' .. arrival.identity, {}

local function answer(job, outcome)
  local reply = { job, outcome }
  for _, token in ipairs(tokens) do reply[#reply + 1] = token end
  return reply
end

local current, ensuredAt = unpack(redis.call('HMGET', known, 'job', 'ensuredAt'))
if current then
  local state = redis.call('HGET', P .. 'job:' .. current, 'state')
  if state == 'failed' then
    reopen(current, tokens)
    return answer(current, 'accepted')
  end
  -- What was published before the `ensure` is old news of the death that was undone by it.
  if not ensuredAt or arrival.publishedAt <= tonumber(ensuredAt) then return answer(current, 'duplicate') end
end
redis.call('DEL', known)
redis.call('HSET', known, 'job', id)
-- Longer than any queue keeps a message; the record itself may be forgotten earlier.
redis.call('EXPIRE', known, 400 * 86400)

local seq = redis.call('INCR', P .. 'seq')
redis.call('HSET', P .. 'job:' .. id, 'kind', arrival.kind, 'seq', seq, 'keys', cjson.encode(arrival.keys), 'attempts', 0, unpack(ARGV, 2))
set_state(id, arrival.state)
if arrival.node then index('node:' .. arrival.node, id) end
if arrival.instanceId then index('instance:' .. arrival.instanceId, id) end

if arrival.kind == 'ensure' then
  local function undone(instance)
    local death = P .. 'known:delete:' .. instance
    if redis.call('EXISTS', death) == 1 then redis.call('HSET', death, 'ensuredAt', arrival.publishedAt) end
  end
  if arrival.instanceId then undone(arrival.instanceId) end
  local recent = arrival.node and redis.call('ZREVRANGE', P .. 'node:' .. arrival.node, 0, 19) or {}
  for _, earlier in ipairs(recent) do
    local instance = redis.call('HGET', P .. 'job:' .. earlier, 'instanceId')
    if instance then undone(instance) end
  end
end

if open(arrival.state) then
  join_lines(id, seq)
  try(id, tokens)
end
return answer(id, 'accepted')

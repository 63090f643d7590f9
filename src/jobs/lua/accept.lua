-- Takes events in as jobs, or tells for each which job already has it.
-- ARGV, for each event: arrival (JSON: id, kind, identity, publishedAt, receivedAt, state, keys, node?, instanceId?, request?: { id, body },
-- lifecycle?, doubted?: identity of the death it tells of), then how many fields and values follow, then field, value, … of the record
-- Returns for each { job id, 'accepted' or 'duplicate', tokens… }, { '', 'mismatch' } for a request's id with another
-- body, or an error of its own

-- Longer than any queue keeps a message; the record itself may be forgotten earlier.
local MEMORY_SECONDS = 400 * 86400

local function accept(arrival, from, to)
  local id, known, tokens = arrival.id, P .. 'known:' .. arrival.identity, {}

  -- The id of a request stands for its job, even where an `ensure` since then gave the instance a new one.
  local request = arrival.request and P .. 'known:message:' .. arrival.request.id
  if request and redis.call('EXISTS', request) == 1 then
    if redis.call('HGET', request, 'body') ~= arrival.request.body then return { '', 'mismatch' } end
    known = request
  end

  local function answer(job, outcome)
    if request then
      redis.call('HSET', request, 'job', job, 'body', arrival.request.body)
      redis.call('EXPIRE', request, MEMORY_SECONDS)
    end
    local reply = { job, outcome }
    for _, token in ipairs(tokens) do reply[#reply + 1] = token end
    return reply
  end

  -- A lifecycle action that is told of after the job began, or ended, waits to be completed all the same.
  local function attach(job)
    local record = P .. 'job:' .. job
    if not arrival.lifecycle or redis.call('HGET', record, 'lifecycle') == arrival.lifecycle then return end
    redis.call('HSET', record, 'lifecycle', arrival.lifecycle)
    redis.call('HDEL', record, 'step:complete-lifecycle')
    if redis.call('HGET', record, 'state') == 'done' then reopen(job_of(job), tokens) end
  end

  -- News that is not believed adds nothing to a death that is known and not undone.
  if arrival.doubted then
    local job, undoneAt = unpack(redis.call('HMGET', P .. 'known:' .. arrival.doubted, 'job', 'ensuredAt'))
    local stands = job and redis.call('HGET', P .. 'job:' .. job, 'state') ~= 'failed'
    if stands and (not undoneAt or arrival.publishedAt <= tonumber(undoneAt)) then return answer(job, 'duplicate') end
  end

  local current, ensuredAt = unpack(redis.call('HMGET', known, 'job', 'ensuredAt'))
  if current then
    -- What was published before the `ensure` is old news of the death that was undone by it.
    if ensuredAt and arrival.publishedAt <= tonumber(ensuredAt) then return answer(current, 'duplicate') end
    if not ensuredAt then
      local state, discarded, claim = unpack(redis.call('HMGET', P .. 'job:' .. current, 'state', 'discarded', 'claim'))
      -- A job that is held for what its event claimed must not keep another, better founded one away.
      if state ~= 'held' or claim == (arrival.node or '') then
        attach(current)
        if state ~= 'failed' or discarded then return answer(current, 'duplicate') end
        reopen(job_of(current), tokens)
        return answer(current, 'accepted')
      end
    end
  end
  -- The first write is one that a full Redis refuses; after another, it would let all of them pass.
  local seq = redis.call('INCR', P .. 'seq')
  if current then redis.call('DEL', known) end
  redis.call('HSET', known, 'job', id)
  redis.call('EXPIRE', known, MEMORY_SECONDS)

  local record, received = P .. 'job:' .. id, arrival.receivedAt
  redis.call('HSET', record, 'kind', arrival.kind, 'seq', seq, 'keys', cjson.encode(arrival.keys), 'attempts', 0, 'claim', arrival.node or '',
    'publishedAt', arrival.publishedAt, 'receivedAt', received, unpack(ARGV, from, to))
  local job = { id = id, record = record, kind = arrival.kind, seq = seq, received = received, keys = arrival.keys }
  set_state(job, arrival.state)
  if arrival.node then redis.call('ZADD', P .. 'node:' .. arrival.node, seq, id) end
  if arrival.instanceId then redis.call('ZADD', P .. 'instance:' .. arrival.instanceId, seq, id) end

  if open(arrival.state) then
    undo_deaths(job)
    join_lines(job, seq)
    try(job, tokens)
  end
  return answer(id, 'accepted')
end

local replies, at = {}, 1
while ARGV[at] do
  local record = at + 2
  local after = record + tonumber(ARGV[at + 1])
  local ok, reply = pcall(accept, cjson.decode(ARGV[at]), record, after - 1)
  if not ok and type(reply) ~= 'table' then reply = { err = reply } end
  replies[#replies + 1] = reply
  at = after
end
return replies

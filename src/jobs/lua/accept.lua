-- Takes events in as jobs, or finds for each the job that already has it.
-- ARGV, for each event: arrival (JSON: id, kind, identities, saidAt, receivedAt, state, keys, node?, instanceId?, request?: { id, body },
-- lifecycle?, evidence, doubted?: identities of the termination that a quarantined message is about), then how many fields and
-- values follow, then field, value, … of the record
-- Returns for each { job id, 'accepted' or 'duplicate', what left quarantine for it (JSON) or '', tokens… },
-- { '', 'mismatch' } for a request's id with another body, or an error of its own

-- What a later message about the same termination can cure. Everything else a person must decide.
local CURABLE = { alive = true, unverified = true, ['several-nodes'] = true, overruled = true, ['no-instance-id'] = true }

local function codes_of(record)
  local codes, any = {}, false
  for _, reason in ipairs(cjson.decode(redis.call('HGET', record, 'reasons') or '[]')) do
    codes[reason.code] = true
    any = any or CURABLE[reason.code]
  end
  return codes, any
end

-- The job that has one of these identities, and about the same node as far as both name one.
local function find_known(identities, node)
  for _, identity in ipairs(identities) do
    local known = P .. 'known:' .. identity
    local id, forming = unpack(redis.call('HMGET', known, 'job', 'forming'))
    if forming then return { key = known, forming = id } end
    if id then
      local of = redis.call('HGET', P .. 'job:' .. id, 'node')
      if not node or not of or of == node then return { key = known, id = id } end
    end
  end
  for _, identity in ipairs(identities) do
    local id = past_job(identity)
    if id then return { id = id } end
  end
  return {}
end

local function accept(arrival, from, to)
  local tokens, removed, evidence = {}, {}, arrival.evidence
  local node, instance, lifecycle = arrival.node, arrival.instanceId, arrival.lifecycle

  local request = arrival.request and P .. 'known:request:' .. arrival.request.id
  local function answer(job, outcome)
    if request then
      redis.call('HSET', request, 'job', job, 'body', arrival.request.body)
      redis.call('EXPIRE', request, REQUEST_SECONDS)
    end
    local reply = { job, outcome, #removed > 0 and cjson.encode(removed) or '' }
    for _, token in ipairs(tokens) do reply[#reply + 1] = token end
    return reply
  end

  -- The id of a request stands for its job, whatever has become of that since.
  if request then
    local job, body = unpack(redis.call('HMGET', request, 'job', 'body'))
    if body and body ~= arrival.request.body then return { '', 'mismatch' } end
    if job and redis.call('HGET', P .. 'job:' .. job, 'state') ~= 'failed' then return answer(job, 'duplicate') end
  end

  -- A quarantined message adds nothing to a termination that is being worked or was worked, and not undone since.
  for _, identity in ipairs(arrival.doubted or {}) do
    local job = redis.call('HGET', P .. 'known:' .. identity, 'job')
    local state, said = unpack(redis.call('HMGET', P .. 'job:' .. (job or ''), 'state', 'saidAt'))
    if (open(state) or state == 'done') and tonumber(said) > last_said('ensured', node, instance) then
      return answer(job, 'duplicate')
    end
  end

  if arrival.kind == 'delete' and evidence.from == 'person' and node then
    remember_said('asked', node, nil, evidence.saidAt, 'by', evidence.by or 'somebody')
  end

  local known = find_known(arrival.identities, node)

  -- A lifecycle action that is announced after the job began, or ended, must be completed all the same.
  local function lifecycle_fields(record)
    if not lifecycle then return nil end
    local list = cjson.decode(redis.call('HGET', record, 'lifecycles') or '[]')
    local at = #list + 1
    for i, each in ipairs(list) do
      if each.group == lifecycle.group and each.hook == lifecycle.hook and each.region == lifecycle.region then at = i end
    end
    if list[at] and list[at].token == lifecycle.token then return nil end
    list[at] = lifecycle
    redis.call('HDEL', record, 'step:complete-lifecycle')
    return { 'lifecycles', cjson.encode(list) }
  end

  local function meet(id)
    local job = job_of(id)
    if arrival.kind ~= 'ensure' then
      local said, of = unpack(redis.call('HMGET', job.record, 'saidAt', 'node'))
      local ensured = last_said('ensured', node or of, instance)
      if ensured > 0 and evidence.saidAt <= ensured then return 'duplicate' end
      -- The `ensure` undid what the job stands for: this is about another termination. If only a host says so, this is
      -- another job all the same, which looks for itself.
      local undone = math.max(ensured, last_said('by_host', nil, instance))
      if undone > 0 and tonumber(said or 0) <= undone then return nil end
    end
    -- Its record was removed because of its age.
    if not job.state then return 'duplicate' end

    local fields, better, later = add_evidence(job, evidence)
    local added = lifecycle_fields(job.record)
    local set = fields or {}
    for _, each in ipairs(added or {}) do set[#set + 1] = each end
    if open(job.state) then
      if added and not fields then redis.call('HINCRBY', job.record, 'heard', 1) end
      if #set > 0 then redis.call('HSET', job.record, unpack(set)) end
      return 'duplicate'
    end
    local again, all_steps = false, true
    if job.state == 'failed' then
      again, all_steps = true, better
    elseif job.state == 'held' then
      local _, curable = codes_of(job.record)
      again = better or (later or added) and curable
    elseif job.state == 'discarded' then
      local codes = codes_of(job.record)
      again = better or (later or added) and not codes['other-instance']
    elseif job.state == 'done' then
      -- AWS does not know names: after a host's word it may be about another node.
      local otherwise = better and evidence.from == 'aws' and job.kind == 'delete'
      local asked = later and evidence.from == 'person'
      again, all_steps = added or otherwise or asked, otherwise or asked
      -- Whether the node came back is looked at at once; the job is opened again only where it did.
      if not again and (later or better) and job.kind == 'delete' then
        redis.call('ZADD', P .. 'zombies', 0, id .. '.now')
      end
    end
    if again then
      if all_steps then forget_steps(job) end
      local was_done = job.state == 'done'
      reopen(job, tokens, unpack(set))
      -- What is the same termination stays a duplicate for its sender, whatever is looked at again.
      return was_done and evidence.from ~= 'person' and 'duplicate' or 'accepted'
    end
    if #set > 0 then redis.call('HSET', job.record, unpack(set)) end
    return 'duplicate'
  end

  if known.id then
    local outcome = meet(known.id)
    if outcome then return answer(known.id, outcome) end
  end

  -- A new job. Its identities are taken first, marked as forming, so that a repetition after a failure finishes it.
  local id = known.forming or arrival.id
  for _, identity in ipairs(arrival.identities) do
    local key = P .. 'known:' .. identity
    if redis.call('EXISTS', key) == 0 or key == known.key then
      redis.call('HSET', key, 'job', id, 'forming', 1)
      redis.call('EXPIRE', key, MEMORY_SECONDS)
    end
  end
  local all = { unpack(arrival.identities) }
  for _, identity in ipairs(arrival.doubted or {}) do all[#all + 1] = identity end
  local record = P .. 'job:' .. id
  local seq = redis.call('HGET', record, 'seq') or redis.call('INCR', P .. 'seq')
  local run = redis.call('HGET', record, 'run') or 0
  redis.call('HSET', record, 'kind', arrival.kind, 'seq', seq, 'run', run, 'keys', cjson.encode(arrival.keys), 'attempts', 0,
    'saidAt', evidence.saidAt, 'evidence', cjson.encode({ evidence }), 'rank', evidence.rank, 'heard', 0,
    'identities', cjson.encode(all), 'receivedAt', arrival.receivedAt, unpack(ARGV, from, to))
  if lifecycle then redis.call('HSET', record, 'lifecycles', cjson.encode({ lifecycle })) end
  local job = { id = id, record = record, kind = arrival.kind, seq = seq, received = arrival.receivedAt, keys = arrival.keys, run = tonumber(run) }
  if node then redis.call('ZADD', P .. 'node:' .. node, seq, id) end
  if instance then redis.call('ZADD', P .. 'instance:' .. instance, seq, id) end
  if open(arrival.state) then
    remember_ensure(job)
    join_lines(job, seq)
    stop_working(job)
    try(job, tokens)
  end
  if arrival.kind == 'ensure' and evidence.from == 'person' then redis.call('HDEL', P .. 'said:n:' .. node, 'asked', 'by') end
  if arrival.state == 'held' then quarantine(job) end
  if arrival.state == 'held' or evidence.rank < 2 then removed = keep_quarantine(subject_of(job)) end
  set_state(job, arrival.state)
  for _, identity in ipairs(arrival.identities) do
    local key = P .. 'known:' .. identity
    if redis.call('HGET', key, 'job') == id then redis.call('HDEL', key, 'forming') end
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

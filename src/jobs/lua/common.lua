-- The record of a job is a hash; everything else here is found from it or leads to it:
--   job:ID              the record; `state`, `run` (the number in its valid token), `worker` (who began it last), `seq`
--                       (its place in lists), `evidence` (who said what, JSON), `heard` (how often something was added to that)
--   list:KIND:STATE     all jobs, by seq
--   node:NAME           the jobs of a node, by seq            instance:ID   the jobs of an instance
--   line:KEY            the open jobs of a node or instance, by turn: one works, the others wait
--   active              KEY -> the job that works in that line
--   known:IDENTITY      job: the job that has this identity; forming: that job is not complete yet
--   said:i:ID, said:n:NAME   what was last said of an instance or of a node's name, in ms since 1970: ensured (that it must
--                       be there), restored (the same, by a person), deleted (a deletion that was carried out), asked (a person
--                       asked for its deletion; by: who). A host speaks for its own name only: what it says of an instance
--                       is kept apart (by_host), since it could name another host's
--   outbox              `ID.RUN` to be handed to BullMQ, by the time at which a process may take it; removed when BullMQ has it
--   finished            the jobs that ended, by when (ms since 1970); forget.lua removes their records when they are old,
--                       and passes over those that were opened again
--   quarantined, quarantined:SUBJECT   held jobs that no trusted speaker stands for, by `seq`: all,
--                       and those of one node (n:NAME) or instance (i:ID); see keep_quarantine
--   past:SPAN:SHARD     IDENTITY -> the job that had it, whose record is gone. Many share one hash, which is small in memory
--                       that way; SPAN counts 90 days since 1970, and the whole hash expires
--   hour:HOUR           KIND:STATE -> the jobs accepted within that hour (UTC, 2026-01-31T09) that are in that state
-- The id of a job that changed is published to the channel `changed`; `trigger` when a chef-client run begins or ends.
--
-- Redis does not roll back a script that fails. So the write that makes a change count comes last in every function: a
-- script that failed before it can be run again, and then finishes the change. What only informs (counts, PUBLISH) may fail.
local P = KEYS[1] .. ':'

-- Redis's clock in ms. Times that decide something come from it, since the clocks of processes differ.
local function now_ms()
  local seconds, micros = unpack(redis.call('TIME'))
  return seconds * 1000 + math.floor(micros / 1000)
end

-- Notes that a job changes what Chef knows, so that a later chef-client run is wanted. Returns the stamp.
local function stamp_change(job_id)
  local T, U, now = P .. 'trigger', P .. 'trigger:uncovered', now_ms()
  if redis.call('ZCARD', U) == 0 then redis.call('HSET', T, 'since', now) end
  local clock = redis.call('HINCRBY', T, 'clock', 1)
  redis.call('HSET', T, 'changedAt', now)
  redis.call('ZADD', U, clock, job_id)
  return clock
end

local function open(state)
  return state == 'queued' or state == 'running' or state == 'retrying'
end

-- Whether a job is still in this run and with this worker: `RUN:WORKER`, `RUN`, or '' for any.
local function is_with(id, who)
  local run, worker = string.match(who, '^([^:]*):?(.*)$')
  local current, holder = unpack(redis.call('HMGET', P .. 'job:' .. id, 'run', 'worker'))
  return (run == '' or run == current) and (worker == '' or worker == holder)
end

-- A job as the functions below take it, read once for a script.
local function job_of(id)
  local kind, state, seq, received, keys, run =
    unpack(redis.call('HMGET', P .. 'job:' .. id, 'kind', 'state', 'seq', 'receivedAt', 'keys', 'run'))
  return {
    id = id, record = P .. 'job:' .. id, kind = kind, state = state, seq = seq, received = received,
    keys = keys and cjson.decode(keys), run = tonumber(run or 0),
  }
end

local HOUR_SECONDS = 8 * 86400

local function finished(state)
  return state == 'done' or state == 'failed' or state == 'discarded'
end

local function count_in_hour(job, from, to)
  local hour = P .. 'hour:' .. string.sub(job.received or '', 1, 13)
  if from and redis.pcall('EXISTS', hour) == 0 then return end
  if from then redis.pcall('HINCRBY', hour, job.kind .. ':' .. from, -1) end
  if redis.pcall('HINCRBY', hour, job.kind .. ':' .. to, 1) == 1 then redis.pcall('EXPIRE', hour, HOUR_SECONDS) end
end

local function changed(what)
  redis.pcall('PUBLISH', P .. 'changed', what)
end

-- Whom a job is about.
local function subject_of(job)
  local node, instance = unpack(redis.call('HMGET', job.record, 'node', 'instanceId'))
  return node and 'n:' .. node or instance and 'i:' .. instance or ''
end

local function leave_quarantine(job, subject)
  redis.call('ZREM', P .. 'quarantined:' .. subject, job.id)
  redis.call('ZREM', P .. 'quarantined', job.id)
end

-- …: further fields of the record, and their values.
local function set_state(job, to, ...)
  local from = job.state
  redis.call('ZADD', P .. 'list:' .. job.kind .. ':' .. to, job.seq, job.id)
  if from and from ~= to then redis.call('ZREM', P .. 'list:' .. job.kind .. ':' .. from, job.id) end
  if finished(to) then redis.call('ZADD', P .. 'finished', now_ms(), job.id) end
  if from == 'held' and to ~= 'held' then leave_quarantine(job, subject_of(job)) end
  redis.call('HSET', job.record, 'state', to, ...)
  job.state = to
  count_in_hour(job, from, to)
  changed(job.id)
end

-- A job may work when it is the first in each of its lines and none works there. Waiting leads only to earlier turns
-- and to jobs that work, and those wait for nobody: there is no deadlock.
local function try(job, tokens)
  for _, key in ipairs(job.keys) do
    if redis.call('HEXISTS', P .. 'active', key) == 1 then return end
    if redis.call('ZRANGE', P .. 'line:' .. key, 0, 0)[1] ~= job.id then return end
  end
  job.run = job.run + 1
  redis.call('HSET', job.record, 'run', job.run)
  local token = job.id .. '.' .. job.run
  redis.call('ZADD', P .. 'outbox', 0, token)
  local works = {}
  for _, key in ipairs(job.keys) do
    works[#works + 1] = key
    works[#works + 1] = job.id
  end
  if #works > 0 then redis.call('HSET', P .. 'active', unpack(works)) end
  tokens[#tokens + 1] = token
end

local function try_next(keys, tokens)
  for _, key in ipairs(keys) do
    local first = redis.call('ZRANGE', P .. 'line:' .. key, 0, 0)[1]
    if first then try(job_of(first), tokens) end
  end
end

local function join_lines(job, turn)
  for _, key in ipairs(job.keys) do redis.call('ZADD', P .. 'line:' .. key, turn, job.id) end
end

local function stop_working(job)
  for _, key in ipairs(job.keys) do
    if redis.call('HGET', P .. 'active', key) == job.id then redis.call('HDEL', P .. 'active', key) end
  end
end

-- Lets the next job of each of its lines work, and then gives the job its state. Its token becomes invalid with that:
-- handed out again after a kill, it must not begin the job out of turn.
local function leave_lines(job, tokens, to, ...)
  stop_working(job)
  for _, key in ipairs(job.keys) do redis.call('ZREM', P .. 'line:' .. key, job.id) end
  try_next(job.keys, tokens)
  set_state(job, to, 'run', job.run + 1, ...)
end

-- Longer than any queue keeps a message; the record itself may be forgotten earlier.
local MEMORY_SECONDS = 400 * 86400
-- A request that is sent again with the same Idempotency-Key is sent again soon.
local REQUEST_SECONDS = 30 * 86400

local SPAN_SECONDS = 90 * 86400

local function shard_of(identity)
  return string.sub(redis.sha1hex(identity), 1, 3)
end

local function past_key(span, shard)
  return P .. 'past:' .. span .. ':' .. shard
end

local function this_span()
  return math.floor(now_ms() / 1000 / SPAN_SECONDS)
end

local function remember_past(identity, id)
  local key = past_key(this_span(), shard_of(identity))
  redis.call('HSET', key, identity, id)
  redis.call('EXPIRE', key, MEMORY_SECONDS)
end

-- The job that had this identity and whose record was removed because of its age.
local function past_job(identity)
  local span, shard = this_span(), shard_of(identity)
  for age = 0, math.ceil(MEMORY_SECONDS / SPAN_SECONDS) do
    local id = redis.call('HGET', past_key(span - age, shard), identity)
    if id then return id end
  end
end

local function remember(key, field, time, ...)
  local before = tonumber(redis.call('HGET', key, field) or 0)
  if tonumber(time) > before then redis.call('HSET', key, field, time, ...) end
  redis.call('EXPIRE', key, MEMORY_SECONDS)
end

-- An `ensure` and a deletion are remembered for the instance and for the node's name, whether or not the other is known.
local function remember_said(field, node, instance, time, ...)
  if instance then remember(P .. 'said:i:' .. instance, field, time, ...) end
  if node then remember(P .. 'said:n:' .. node, field, time, ...) end
end

-- When something was last said of an instance or of a node's name; 0 if never.
local function last_said(field, node, instance)
  local of_instance = instance and redis.call('HGET', P .. 'said:i:' .. instance, field)
  local of_node = node and redis.call('HGET', P .. 'said:n:' .. node, field)
  return math.max(tonumber(of_instance or 0), tonumber(of_node or 0))
end

local function remember_ensure(job)
  if job.kind ~= 'ensure' then return end
  local node, instance, at, evidence = unpack(redis.call('HMGET', job.record, 'node', 'instanceId', 'saidAt', 'evidence'))
  local by_host = cjson.decode(evidence)[1].from == 'host'
  remember_said('ensured', node, not by_host and instance, at)
  if not by_host then
    remember_said('restored', node, instance, at)
  elseif instance then
    remember(P .. 'said:i:' .. instance, 'by_host', at)
  end
end

-- The identities that nobody has are the job's again.
local function take_identities(job)
  for _, identity in ipairs(cjson.decode(redis.call('HGET', job.record, 'identities') or '[]')) do
    local key = P .. 'known:' .. identity
    if redis.call('HSETNX', key, 'job', job.id) == 1 then redis.call('EXPIRE', key, MEMORY_SECONDS) end
  end
end

-- Back into the lines, behind all that was accepted until now. …: further fields to set.
local function reopen(job, tokens, ...)
  redis.call('HDEL', job.record, 'error', 'finishedAt', 'result', 'approval')
  take_identities(job)
  remember_ensure(job)
  join_lines(job, redis.call('INCR', P .. 'seq'))
  -- Left by a script that failed: a job that is not open does not work.
  stop_working(job)
  try(job, tokens)
  set_state(job, 'queued', 'attempts', 0, 'openedAt', redis.call('TIME')[1] * 1000, ...)
  -- They decided whether it is opened again, and so are needed until it is.
  redis.pcall('HDEL', job.record, 'reasons')
end

-- Every step of the plans but the completion of lifecycle actions: Auto Scaling takes that once.
local STEPS = {
  'find', 'guard', 'downtime', 'archive', 'delete-client', 'delete-node', 'verify', 'confirm-downtime', 'alert',
  'recreate-client', 'recreate-node', 'cancel-downtime',
}

-- Has a job look again from the beginning when it is opened again.
local function forget_steps(job)
  local fields = {}
  for at, step in ipairs(STEPS) do fields[at] = 'step:' .. step end
  redis.call('HDEL', job.record, unpack(fields))
end

-- What an event says is added to what a job already knows; of one speaker (`from` and `node`) only the latest is kept.
-- evidence: { from, rank, saidAt, node?, key?, doubt? }
-- Returns fields and values to set, whether it is better founded, and whether it was said later than what was known
local function add_evidence(job, evidence)
  local known, rank, said, heard = unpack(redis.call('HMGET', job.record, 'evidence', 'rank', 'saidAt', 'heard'))
  local list = known and cjson.decode(known) or {}
  rank, said = tonumber(rank or 0), tonumber(said or 0)
  local at = #list + 1
  for i, each in ipairs(list) do
    if each.from == evidence.from and each.node == evidence.node then at = i end
  end
  local earlier = list[at]
  -- A claim that nobody has confirmed does not move the time of what is trusted.
  local counts = evidence.rank >= 2 or rank < 2
  local better = evidence.rank > rank
  local later = evidence.saidAt > (earlier and earlier.saidAt or counts and said or 0)
  if earlier and not later then return nil, false, false end
  list[at] = evidence
  local fields = { 'evidence', cjson.encode(list), 'rank', math.max(rank, evidence.rank), 'heard', tonumber(heard or 0) + 1 }
  if counts and evidence.saidAt > said then
    fields[#fields + 1] = 'saidAt'
    fields[#fields + 1] = evidence.saidAt
  end
  return fields, better, later
end

-- Removes the record of a job, with its places in every list.
local function remove_record(job)
  local node, instance = unpack(redis.call('HMGET', job.record, 'node', 'instanceId'))
  redis.call('ZREM', P .. 'list:' .. job.kind .. ':' .. job.state, job.id)
  if node then redis.call('ZREM', P .. 'node:' .. node, job.id) end
  if instance then redis.call('ZREM', P .. 'instance:' .. instance, job.id) end
  redis.call('UNLINK', job.record)
end

-- The identities that are a job's own, not those of a request, which expire by themselves.
local function identities_of(job)
  local own = {}
  for _, identity in ipairs(cjson.decode(redis.call('HGET', job.record, 'identities') or '[]')) do
    local owner, request = unpack(redis.call('HMGET', P .. 'known:' .. identity, 'job', 'body'))
    if owner == job.id and not request then own[#own + 1] = identity end
  end
  return own
end

-- Anybody who may publish to a place of hosts can have messages put into quarantine, so they are bounded.
local QUARANTINE, QUARANTINE_OF_ONE = 10000, 10
-- How many one acceptance removes at most, so that Redis does not pause.
local REMOVED_AT_ONCE = 20

-- Puts a held job into quarantine.
local function quarantine(job)
  redis.call('ZADD', P .. 'quarantined', job.seq, job.id)
  redis.call('ZADD', P .. 'quarantined:' .. subject_of(job), job.seq, job.id)
end

local function remove_quarantined(job, subject, removed)
  if job.state == 'held' then
    local node, instance, reasons = unpack(redis.call('HMGET', job.record, 'node', 'instanceId', 'reasons'))
    removed[#removed + 1] = {
      job = job.id, node = node or nil, instanceId = instance or nil, code = cjson.decode(reasons or '[{}]')[1].code,
    }
    for _, identity in ipairs(identities_of(job)) do redis.call('DEL', P .. 'known:' .. identity) end
    remove_record(job)
  end
  leave_quarantine(job, subject)
end

-- Removes the oldest where there are too many, of this subject or in all. A later message about the same is a new one.
-- Returns what was removed
local function keep_quarantine(subject)
  local removed = {}
  for key, limit in pairs({ [P .. 'quarantined:' .. subject] = QUARANTINE_OF_ONE, [P .. 'quarantined'] = QUARANTINE }) do
    local excess = math.min(redis.call('ZCARD', key) - limit, REMOVED_AT_ONCE)
    for _, id in ipairs(excess > 0 and redis.call('ZRANGE', key, 0, excess - 1) or {}) do
      local job = job_of(id)
      remove_quarantined(job, subject_of(job), removed)
      redis.call('ZREM', key, id)
    end
  end
  return removed
end

-- The record of a job is a hash; everything else here is found from it or leads to it:
--   job:ID              the record; `state`, `run` (which of its tokens is good), `worker` (who
--                       began it last), `seq` (its place in lists)
--   list:KIND:STATE     all jobs, by seq
--   node:NAME           the jobs of a node, by seq            instance:ID   the same of an instance
--   line:KEY            the open jobs of a node or instance, by turn: one works, the others wait
--   active              KEY -> the job that works in that line
--   known:IDENTITY      the job that an event already has
--   outbox              `ID.RUN` to be handed to BullMQ, by when it may be taken for that; taken out when BullMQ has it
--   hour:HOUR           KIND:STATE -> the jobs accepted within that hour (UTC, 2026-01-31T09) that are in that state
-- The id of a job that changed is published to the channel `changed`; `trigger` where a chef-client run begins or ends.
-- The channel `outbox` tells those who hand over that there is something.
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

-- Whether a job is still in this run, and in the hands of this worker: `RUN:WORKER`, `RUN`, or '' for whichever.
local function is_with(id, who)
  local run, worker = string.match(who, '^([^:]*):?(.*)$')
  local current, holder = unpack(redis.call('HMGET', P .. 'job:' .. id, 'run', 'worker'))
  return (run == '' or run == current) and (worker == '' or worker == holder)
end

-- A job as the functions below take it, read once for a script.
local function job_of(id)
  local kind, state, seq, received, keys =
    unpack(redis.call('HMGET', P .. 'job:' .. id, 'kind', 'state', 'seq', 'receivedAt', 'keys'))
  return { id = id, record = P .. 'job:' .. id, kind = kind, state = state, seq = seq, received = received, keys = keys and cjson.decode(keys) }
end

local HOUR_SECONDS = 8 * 86400

local function count_in_hour(job, to)
  local hour = P .. 'hour:' .. string.sub(job.received or '', 1, 13)
  if job.state and redis.call('EXISTS', hour) == 0 then return end
  if job.state then redis.call('HINCRBY', hour, job.kind .. ':' .. job.state, -1) end
  if redis.call('HINCRBY', hour, job.kind .. ':' .. to, 1) == 1 then redis.call('EXPIRE', hour, HOUR_SECONDS) end
end

local function changed(what)
  redis.call('PUBLISH', P .. 'changed', what)
end

-- …: further fields of the record, and their values.
local function set_state(job, to, ...)
  redis.call('HSET', job.record, 'state', to, ...)
  if job.state then redis.call('ZREM', P .. 'list:' .. job.kind .. ':' .. job.state, job.id) end
  redis.call('ZADD', P .. 'list:' .. job.kind .. ':' .. to, job.seq, job.id)
  count_in_hour(job, to)
  job.state = to
  changed(job.id)
end

-- A job may work when it is the first in each of its lines and none works there. Waiting leads only to earlier turns
-- and to jobs that work, and those wait for nobody: there is no deadlock.
local function try(job, tokens)
  for _, key in ipairs(job.keys) do
    if redis.call('HEXISTS', P .. 'active', key) == 1 then return end
    if redis.call('ZRANGE', P .. 'line:' .. key, 0, 0)[1] ~= job.id then return end
  end
  for _, key in ipairs(job.keys) do redis.call('HSET', P .. 'active', key, job.id) end
  local token = job.id .. '.' .. redis.call('HINCRBY', job.record, 'run', 1)
  redis.call('ZADD', P .. 'outbox', 0, token)
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
  -- Its token is used up: handed out again after a kill, it must not begin the job out of turn.
  redis.call('HINCRBY', job.record, 'run', 1)
end

local function leave_lines(job, tokens)
  stop_working(job)
  for _, key in ipairs(job.keys) do redis.call('ZREM', P .. 'line:' .. key, job.id) end
  try_next(job.keys, tokens)
end

-- An `ensure` undoes the deaths of its instance and of its node: what is told of them from then on is a new death.
local function undo_deaths(job)
  if job.kind ~= 'ensure' then return end
  local node, instance, at = unpack(redis.call('HMGET', job.record, 'node', 'instanceId', 'publishedAt'))
  local function undo(of)
    local death = P .. 'known:delete:' .. of
    local before = tonumber(redis.call('HGET', death, 'ensuredAt') or 0)
    if redis.call('EXISTS', death) == 1 and tonumber(at) > before then redis.call('HSET', death, 'ensuredAt', at) end
  end
  if instance then undo(instance) end
  local recent = node and redis.call('ZREVRANGE', P .. 'node:' .. node, 0, 19) or {}
  for _, earlier in ipairs(recent) do
    local ended = redis.call('HGET', P .. 'job:' .. earlier, 'instanceId')
    if ended then undo(ended) end
  end
end

-- Back into the lines, behind all that was accepted until now.
local function reopen(job, tokens)
  redis.call('HDEL', job.record, 'error', 'finishedAt', 'discarded')
  set_state(job, 'queued', 'attempts', 0, 'openedAt', redis.call('TIME')[1] * 1000)
  undo_deaths(job)
  join_lines(job, redis.call('INCR', P .. 'seq'))
  try(job, tokens)
end

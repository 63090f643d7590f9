-- The record of a job is a hash; everything else here is found from it or leads to it:
--   job:ID              the record; `state`, `run` (which of its tokens is good), `worker` (who
--                       began it last), `seq` (its place in lists)
--   list:KIND:STATE     all jobs, by seq
--   node:NAME           the jobs of a node, by seq            instance:ID   the same of an instance
--   line:KEY            the open jobs of a node or instance, by turn: one works, the others wait
--   active              KEY -> the job that works in that line
--   known:IDENTITY      the job that an event already has
--   outbox              `ID.RUN` to be handed to BullMQ; taken out when BullMQ has it
--   hour:HOUR           KIND:STATE -> the jobs accepted within that hour (UTC, 2026-01-31T09) that are in that state
-- The id of a job that changed is published to the channel `changed`; `trigger` where a chef-client run begins or ends.
local P = KEYS[1] .. ':'

local function open(state)
  return state == 'queued' or state == 'running' or state == 'retrying'
end

-- Whether a job is still in this run, and in the hands of this worker: `RUN:WORKER`, `RUN`, or '' for whichever.
local function is_with(id, who)
  local run, worker = string.match(who, '^([^:]*):?(.*)$')
  local current, holder = unpack(redis.call('HMGET', P .. 'job:' .. id, 'run', 'worker'))
  return (run == '' or run == current) and (worker == '' or worker == holder)
end

local function keys_of(id)
  return cjson.decode(redis.call('HGET', P .. 'job:' .. id, 'keys'))
end

local HOUR_SECONDS = 8 * 86400

local function count_in_hour(kind, received, from, to)
  local hour = P .. 'hour:' .. string.sub(received or '', 1, 13)
  if from and redis.call('EXISTS', hour) == 0 then return end
  if from then redis.call('HINCRBY', hour, kind .. ':' .. from, -1) end
  redis.call('HINCRBY', hour, kind .. ':' .. to, 1)
  redis.call('EXPIRE', hour, HOUR_SECONDS)
end

local function changed(what)
  redis.call('PUBLISH', P .. 'changed', what)
end

local function set_state(id, to)
  local kind, from, seq, received = unpack(redis.call('HMGET', P .. 'job:' .. id, 'kind', 'state', 'seq', 'receivedAt'))
  if from then redis.call('ZREM', P .. 'list:' .. kind .. ':' .. from, id) end
  redis.call('HSET', P .. 'job:' .. id, 'state', to)
  redis.call('ZADD', P .. 'list:' .. kind .. ':' .. to, seq, id)
  count_in_hour(kind, received, from, to)
  changed(id)
end

-- A job may work when it is the first in each of its lines and none works there. Waiting leads only to earlier turns
-- and to jobs that work, and those wait for nobody: there is no deadlock.
local function try(id, tokens)
  local keys = keys_of(id)
  for _, key in ipairs(keys) do
    if redis.call('HEXISTS', P .. 'active', key) == 1 then return end
    if redis.call('ZRANGE', P .. 'line:' .. key, 0, 0)[1] ~= id then return end
  end
  for _, key in ipairs(keys) do redis.call('HSET', P .. 'active', key, id) end
  local token = id .. '.' .. redis.call('HINCRBY', P .. 'job:' .. id, 'run', 1)
  redis.call('SADD', P .. 'outbox', token)
  tokens[#tokens + 1] = token
end

local function try_next(keys, tokens)
  for _, key in ipairs(keys) do
    local first = redis.call('ZRANGE', P .. 'line:' .. key, 0, 0)[1]
    if first then try(first, tokens) end
  end
end

local function join_lines(id, turn)
  for _, key in ipairs(keys_of(id)) do redis.call('ZADD', P .. 'line:' .. key, turn, id) end
end

local function stop_working(id, keys)
  for _, key in ipairs(keys) do
    if redis.call('HGET', P .. 'active', key) == id then redis.call('HDEL', P .. 'active', key) end
  end
  -- Its token is used up: handed out again after a kill, it must not begin the job out of turn.
  redis.call('HINCRBY', P .. 'job:' .. id, 'run', 1)
end

local function leave_lines(id, tokens)
  local keys = keys_of(id)
  stop_working(id, keys)
  for _, key in ipairs(keys) do redis.call('ZREM', P .. 'line:' .. key, id) end
  try_next(keys, tokens)
end

-- An `ensure` undoes the deaths of its instance and of its node: what is told of them from then on is a new death.
local function undo_deaths(id)
  local kind, node, instance, at = unpack(redis.call('HMGET', P .. 'job:' .. id, 'kind', 'node', 'instanceId', 'publishedAt'))
  if kind ~= 'ensure' then return end
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
local function reopen(id, tokens)
  redis.call('HDEL', P .. 'job:' .. id, 'error', 'finishedAt', 'discarded')
  redis.call('HSET', P .. 'job:' .. id, 'attempts', 0, 'openedAt', redis.call('TIME')[1] * 1000)
  set_state(id, 'queued')
  undo_deaths(id)
  join_lines(id, redis.call('INCR', P .. 'seq'))
  try(id, tokens)
end

local function index(name, id)
  redis.call('ZADD', P .. name, redis.call('HGET', P .. 'job:' .. id, 'seq'), id)
end

-- Begins a chef-client run if one is due and none can be under way.
-- The lease lasts as long as a run can, so it also covers a run whose service was killed. A process that sees the same
-- lock file may take it over earlier, once its owner is silent: flock(1) tells that process whether the run has ended.
-- ARGV: owner, lock, lease in ms, longest silence of an owner in ms, settle in ms, longest wait for open jobs and for quiet in ms
-- Returns the clock up to which the run covers, or nothing
local T, U = P .. 'trigger', P .. 'trigger:uncovered'
if redis.call('ZCARD', U) == 0 then return nil end
local lease = redis.call('GET', P .. 'trigger:lease')
if lease then
  local owner, lock = string.match(lease, '^(%S+) (%S+)$')
  if lock ~= ARGV[2] then return nil end
  if owner ~= ARGV[1] and redis.call('EXISTS', P .. 'trigger:alive') == 1 then return nil end
end
local now, settle, longest = now_ms(), tonumber(ARGV[5]), tonumber(ARGV[6])
local clock, changedAt, notBefore, since, cut, cutAt =
  unpack(redis.call('HMGET', T, 'clock', 'changedAt', 'notBefore', 'since', 'cut', 'cutAt'))
if now < tonumber(notBefore or 0) then return nil end

local function any_open()
  for _, kind in ipairs({ 'delete', 'ensure', 'downtime' }) do
    for _, state in ipairs({ 'queued', 'running', 'retrying' }) do
      if redis.call('ZCARD', P .. 'list:' .. kind .. ':' .. state) > 0 then return true end
    end
  end
  return false
end

local covers = clock
if any_open() or now < tonumber(changedAt) + settle then
  if now < tonumber(since) + longest then return nil end
  -- Too long without quiet: a cut is made, and after the quiet time a run covers what lies before it. Jobs that are
  -- open at the cut are moved behind it, since they may still change something.
  if not cut then
    for _, id in ipairs(redis.call('ZRANGE', U, 0, -1)) do
      if open(redis.call('HGET', P .. 'job:' .. id, 'state')) then redis.call('ZADD', U, clock + 1, id) end
    end
    cut, cutAt = clock, now
    redis.call('HSET', T, 'clock', clock + 1, 'cut', cut, 'cutAt', cutAt)
  end
  if now < tonumber(cutAt) + settle then return nil end
  covers = cut
end
redis.call('HDEL', T, 'cut', 'cutAt')
redis.call('SET', P .. 'trigger:lease', ARGV[1] .. ' ' .. ARGV[2], 'PX', ARGV[3])
redis.call('SET', P .. 'trigger:alive', ARGV[1], 'PX', ARGV[4])
redis.call('HSET', T, 'startedAt', now)
changed('trigger')
return covers

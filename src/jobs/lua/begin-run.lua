-- Begins a chef-client run where one is due and none is under way.
-- ARGV: owner, lease in ms, settle in ms, now in ms
-- Returns the clock up to which the run covers, or nothing
local due = redis.call('ZCARD', P .. 'trigger:uncovered') > 0
if not due or redis.call('EXISTS', P .. 'trigger:lease') == 1 then return nil end
for _, kind in ipairs({ 'delete', 'ensure', 'downtime' }) do
  for _, state in ipairs({ 'queued', 'running', 'retrying' }) do
    if redis.call('ZCARD', P .. 'list:' .. kind .. ':' .. state) > 0 then return nil end
  end
end
local now = tonumber(ARGV[4])
local clock, changedAt, notBefore = unpack(redis.call('HMGET', P .. 'trigger', 'clock', 'changedAt', 'notBefore'))
if now < tonumber(changedAt) + tonumber(ARGV[3]) or now < tonumber(notBefore or 0) then return nil end
redis.call('SET', P .. 'trigger:lease', ARGV[1], 'PX', ARGV[2])
redis.call('HSET', P .. 'trigger', 'startedAt', now)
return clock

-- Ends the run of this owner: what it covered is forgotten if it succeeded; else no run begins before the wait is over.
-- ARGV: owner, clock it covers, exit code, wait in ms, last run (JSON) or '' to leave the last one, then 'goes on' if the
-- host's lock shows that a run is still under way there, which keeps the lease, or ''
-- Returns for how long such a run has been in the way, in ms, or nothing if the lease was lost meanwhile
local T, now, goes_on = P .. 'trigger', now_ms(), ARGV[6] == 'goes on'
local lease = redis.call('GET', P .. 'trigger:lease')
if not lease or string.match(lease, '^%S+') ~= ARGV[1] then return nil end
redis.call('DEL', P .. 'trigger:alive')
if goes_on then
  redis.call('HSETNX', T, 'busySince', now)
else
  redis.call('DEL', P .. 'trigger:lease')
  redis.call('HDEL', T, 'busySince')
end
local startedAt, busySince = unpack(redis.call('HMGET', T, 'startedAt', 'busySince'))
redis.call('HDEL', T, 'startedAt')
if ARGV[5] ~= '' then redis.call('HSET', T, 'lastRun', ARGV[5]) end
if ARGV[3] == '0' then
  redis.call('ZREMRANGEBYSCORE', P .. 'trigger:uncovered', '-inf', ARGV[2])
  redis.call('HSET', T, 'failures', 0, 'notBefore', 0, 'since', startedAt)
else
  if ARGV[5] ~= '' then redis.call('HINCRBY', T, 'failures', 1) end
  redis.call('HSET', T, 'notBefore', now + tonumber(ARGV[4]))
end
changed('trigger')
return now - tonumber(busySince or now)

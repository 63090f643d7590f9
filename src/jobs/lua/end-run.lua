-- Ends the run of this owner: what it covered is forgotten if it succeeded; else no run begins before the wait is over.
-- ARGV: owner, clock it covers, exit code, wait in ms, last run (JSON) or '' to leave the last one
-- Returns 1, or 0 where the lease was lost meanwhile
if redis.call('GET', P .. 'trigger:lease') ~= ARGV[1] then return 0 end
redis.call('DEL', P .. 'trigger:lease')
local startedAt = redis.call('HGET', P .. 'trigger', 'startedAt')
redis.call('HDEL', P .. 'trigger', 'startedAt')
if ARGV[5] ~= '' then redis.call('HSET', P .. 'trigger', 'lastRun', ARGV[5]) end
if ARGV[3] == '0' then
  redis.call('ZREMRANGEBYSCORE', P .. 'trigger:uncovered', '-inf', ARGV[2])
  redis.call('HSET', P .. 'trigger', 'failures', 0, 'notBefore', 0, 'since', startedAt)
else
  if ARGV[5] ~= '' then redis.call('HINCRBY', P .. 'trigger', 'failures', 1) end
  redis.call('HSET', P .. 'trigger', 'notBefore', now_ms() + tonumber(ARGV[4]))
end
changed('trigger')
return 1

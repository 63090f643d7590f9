-- Notes that a job changes what Chef knows, so that a later chef-client run is wanted.
-- ARGV: job id, now in ms
local T, U = P .. 'trigger', P .. 'trigger:uncovered'
if redis.call('ZCARD', U) == 0 then redis.call('HSET', T, 'since', ARGV[2]) end
local clock = redis.call('HINCRBY', T, 'clock', 1)
redis.call('HSET', T, 'changedAt', ARGV[2])
redis.call('ZADD', U, clock, ARGV[1])
return clock

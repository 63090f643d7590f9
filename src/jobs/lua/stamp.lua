-- Notes that a job changes what Chef knows, so that a later chef-client run is wanted.
-- ARGV: job id, now in ms
local clock = redis.call('HINCRBY', P .. 'trigger', 'clock', 1)
redis.call('HSET', P .. 'trigger', 'changedAt', ARGV[2])
redis.call('ZADD', P .. 'trigger:uncovered', clock, ARGV[1])
return clock

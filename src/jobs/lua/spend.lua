-- Takes one deletion out of the window's budget, once per job.
-- ARGV: job id, window in ms, deletions in a window
-- Returns 1, or 0 if there is none left
local key, now = P .. 'budget', now_ms()
if redis.call('ZSCORE', key, ARGV[1]) then return 1 end
redis.call('ZREMRANGEBYSCORE', key, '-inf', now - tonumber(ARGV[2]))
if redis.call('ZCARD', key) >= tonumber(ARGV[3]) then return 0 end
redis.call('ZADD', key, now, ARGV[1])
redis.call('PEXPIRE', key, ARGV[2])
return 1

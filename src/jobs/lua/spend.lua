-- Takes one deletion out of the window's budget, once per job.
-- ARGV: job id, now in ms, window in ms, deletions in a window
-- Returns 1, or 0 where there is none left
local key, now = P .. 'budget', tonumber(ARGV[2])
if redis.call('ZSCORE', key, ARGV[1]) then return 1 end
redis.call('ZREMRANGEBYSCORE', key, '-inf', now - tonumber(ARGV[3]))
if redis.call('ZCARD', key) >= tonumber(ARGV[4]) then return 0 end
redis.call('ZADD', key, now, ARGV[1])
redis.call('PEXPIRE', key, ARGV[3])
return 1

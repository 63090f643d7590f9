-- Takes what is due out of a set, each for so long: what is not done by then is due again. Redis's own clock decides.
-- ARGV: name of the set, lease in ms, how many at most
-- Returns the members, the longest due first
local key, now = P .. ARGV[1], now_ms()
local due = redis.call('ZRANGEBYSCORE', key, '-inf', now, 'LIMIT', 0, ARGV[3])
for _, member in ipairs(due) do redis.call('ZADD', key, now + ARGV[2], member) end
return due

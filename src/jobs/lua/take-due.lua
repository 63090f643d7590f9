-- Takes the checks that are due, each for so long: what is not done by then is due again.
-- ARGV: name of the set, now in ms, lease in ms, how many at most
local key = P .. ARGV[1]
local due = redis.call('ZRANGEBYSCORE', key, '-inf', ARGV[2], 'LIMIT', 0, ARGV[4])
for _, member in ipairs(due) do redis.call('ZADD', key, ARGV[2] + ARGV[3], member) end
return due

-- Keeps what a worker did or learnt, if the job is still with it.
-- ARGV: id, RUN:WORKER or RUN, field, value, …
-- Returns 1, or 0 if another worker has the job now
if not is_with(ARGV[1], ARGV[2]) then return 0 end
redis.call('HSET', P .. 'job:' .. ARGV[1], unpack(ARGV, 3))
changed(ARGV[1])
return 1

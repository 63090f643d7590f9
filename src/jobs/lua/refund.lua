-- Gives a job's part of the budget back.
-- ARGV: job id
-- Returns 1, or 0 if the job had none
return redis.call('ZREM', P .. 'budget', ARGV[1])

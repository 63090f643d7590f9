-- Takes the next tokens of the outbox for so long: what has not left it by then is there to be taken again.
-- ARGV: lease in ms, how many at most
-- Returns the tokens, the oldest first
local seconds, micros = unpack(redis.call('TIME'))
local now = seconds * 1000 + math.floor(micros / 1000)
local tokens = redis.call('ZRANGEBYSCORE', P .. 'outbox', '-inf', now, 'LIMIT', 0, ARGV[2])
for _, token in ipairs(tokens) do redis.call('ZADD', P .. 'outbox', now + ARGV[1], token) end
return tokens

-- Puts members into a set from which take-due.lua takes them, each due after its delay.
-- ARGV: name of the set, then delay in ms, member, …
local now = now_ms()
for i = 2, #ARGV, 2 do redis.call('ZADD', P .. ARGV[1], now + tonumber(ARGV[i]), ARGV[i + 1]) end

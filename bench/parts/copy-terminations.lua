-- Leaves in Redis what further terminations would have left that went as one that is done.
-- KEYS: prefix   ARGV: id, node and instance of the job that is done, then id, node and instance of each further one
local P = KEYS[1] .. ':'
local instance, template = ARGV[3], P .. 'job:' .. ARGV[1]
local count = (#ARGV - 3) / 3

-- Fields that name any of the three, and which of them.
local differing, fields = {}, redis.call('HGETALL', template)
for i = 1, #fields, 2 do
  local value, named = fields[i + 1], {}
  for at = 1, 3 do
    if value:find(ARGV[at], 1, true) then named[at] = ARGV[at]:gsub('%p', '%%%0') end
  end
  if next(named) then differing[fields[i]] = { value = value, named = named } end
end

local kind, state, received = unpack(redis.call('HMGET', template, 'kind', 'state', 'receivedAt'))
local list, known = P .. 'list:' .. kind .. ':' .. state, P .. 'known:' .. kind .. ':'
local memory = redis.call('TTL', known .. instance)
local seq = redis.call('INCRBY', P .. 'seq', count) - count
for i = 4, #ARGV, 3 do
  seq = seq + 1
  local copy, its = ARGV[i], { 'seq', seq }
  for field, of in pairs(differing) do
    local value = of.value
    for at, name in pairs(of.named) do value = value:gsub(name, ARGV[i + at - 1]) end
    its[#its + 1] = field
    its[#its + 1] = value
  end
  redis.call('COPY', template, P .. 'job:' .. copy)
  redis.call('HSET', P .. 'job:' .. copy, unpack(its))
  redis.call('ZADD', list, seq, copy)
  redis.call('ZADD', P .. 'node:' .. ARGV[i + 1], seq, copy)
  redis.call('ZADD', P .. 'instance:' .. ARGV[i + 2], seq, copy)
  redis.call('HSET', known .. ARGV[i + 2], 'job', copy)
  redis.call('EXPIRE', known .. ARGV[i + 2], memory)
end
redis.call('HINCRBY', P .. 'hour:' .. received:sub(1, 13), kind .. ':' .. state, count)

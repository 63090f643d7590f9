-- A working job learns which node (or instance) it is about, and takes the first place in that line as well; where
-- another is before it, it goes back to wait for its turn.
-- ARGV: id, RUN:WORKER or RUN, key, index, field, value     e.g. ID 1:W n:web-1 node:web-1 node web-1
-- Returns { 1 } when it goes on; { 0, tokens… } when it waits; { -1 } when it is no longer with this worker
local id, key = ARGV[1], ARGV[3]
local record = P .. 'job:' .. id
local state, keys = unpack(redis.call('HMGET', record, 'state', 'keys'))
if state ~= 'running' or not is_with(id, ARGV[2]) then return { -1 } end

redis.call('HSET', record, ARGV[5], ARGV[6])
index(ARGV[4], id)
undo_deaths(id)
keys = cjson.decode(keys)
local has = false
for _, k in ipairs(keys) do has = has or k == key end
if not has then
  local turn = redis.call('ZSCORE', P .. 'line:' .. keys[1], id)
  keys[#keys + 1] = key
  redis.call('HSET', record, 'keys', cjson.encode(keys))
  redis.call('ZADD', P .. 'line:' .. key, turn, id)
end
local active = redis.call('HGET', P .. 'active', key)
local first = redis.call('ZRANGE', P .. 'line:' .. key, 0, 0)[1]
if active == id then return { 1 } end
if not active and first == id then
  redis.call('HSET', P .. 'active', key, id)
  return { 1 }
end

local tokens = { 0 }
stop_working(id, keys)
set_state(id, 'queued')
try_next(keys, tokens)
return tokens

-- Job ids, newest first, from the union of several lists below a cursor.
-- ARGV: limit, cursor (exclusive seq, or +inf), list…
-- Returns { id, seq, id, seq, … }
local limit = tonumber(ARGV[1])
local below = ARGV[2] == '+inf' and '+inf' or '(' .. ARGV[2]
local found = {}
for i = 3, #ARGV do
  local page = redis.call('ZREVRANGEBYSCORE', P .. ARGV[i], below, '-inf', 'WITHSCORES', 'LIMIT', 0, limit)
  for j = 1, #page, 2 do found[#found + 1] = { page[j], tonumber(page[j + 1]) } end
end
table.sort(found, function(a, b) return a[2] > b[2] end)
local reply = {}
for i = 1, math.min(limit, #found) do
  reply[#reply + 1] = found[i][1]
  reply[#reply + 1] = tostring(found[i][2])
end
return reply

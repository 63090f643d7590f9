-- Job ids, newest first, from the union of several lists below a cursor; of one list that holds others too, those that
-- the filter lets through.
-- ARGV: limit, cursor (exclusive seq, or +inf), records looked at at most, kind, state, node, instanceId ('' is any), list…
-- Returns { cursor of the next page or '', id, id, … }
local limit, cursor, scan = tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3])
local lists = { unpack(ARGV, 8) }
local STEP = 200

local function below(list, seq, count)
  local from = seq == '+inf' and seq or '(' .. seq
  return redis.call('ZREVRANGEBYSCORE', P .. list, from, '-inf', 'WITHSCORES', 'LIMIT', 0, count)
end

local function passes(id)
  local found = redis.call('HMGET', P .. 'job:' .. id, 'kind', 'state', 'node', 'instanceId')
  for i = 1, 4 do
    local wanted = ARGV[i + 3]
    if wanted ~= '' and wanted ~= found[i] then return false end
  end
  return true
end

local found, last = {}, cursor
if #lists > 1 then
  for _, list in ipairs(lists) do
    local page = below(list, cursor, limit + 1)
    for i = 1, #page, 2 do found[#found + 1] = { page[i], tonumber(page[i + 1]) } end
  end
  table.sort(found, function(a, b) return a[2] > b[2] end)
else
  local looked, page = 0, nil
  repeat
    page = below(lists[1], last, math.min(STEP, scan - looked))
    for i = 1, #page, 2 do
      last = page[i + 1]
      looked = looked + 1
      if passes(page[i]) then found[#found + 1] = { page[i], last } end
      if #found > limit then break end
    end
  until #page == 0 or #found > limit or looked >= scan
  if #found <= limit and #page == 0 then last = '' end
end

local more = #found > limit
local reply = { #lists == 1 and not more and last or '' }
if more then reply[1] = tostring(found[limit][2]) end
for i = 1, math.min(limit, #found) do reply[#reply + 1] = found[i][1] end
return reply

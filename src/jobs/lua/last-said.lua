-- When an `ensure` and a deletion were last said of a node and an instance, and who asked for the node's deletion.
-- ARGV: node or '', instance or ''
-- Returns { ensured, restored, deleted, asked, by or '' }; times in ms since 1970, 0 if never
local node, instance = ARGV[1] ~= '' and ARGV[1], ARGV[2] ~= '' and ARGV[2]
return {
  tostring(last_said('ensured', node, instance)), tostring(last_said('restored', node, instance)),
  tostring(last_said('deleted', node, instance)), tostring(last_said('asked', node)), node and redis.call('HGET', P .. 'said:n:' .. node, 'by') or '',
}

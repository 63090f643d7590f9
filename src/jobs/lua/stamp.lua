-- Notes that a job changes what Chef knows; see stamp_change in common.lua.
-- ARGV: job id
-- Returns the stamp
return stamp_change(ARGV[1])

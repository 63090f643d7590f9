/**
 * Put before the text of a script, fails its nth Redis command; n is a last argument of its own, and 0 fails none.
 * Commands by `pcall` may fail anyway, and are not counted.
 */
export const FAULTY = `
local real, calls, fail_at = redis, 0, tonumber(table.remove(ARGV))
local redis = {
  pcall = real.pcall,
  sha1hex = real.sha1hex,
  call = function(...)
    calls = calls + 1
    if calls == fail_at then error('this command fails') end
    return real.call(...)
  end,
}
`;

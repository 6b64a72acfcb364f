-- Returns what all gates together have, for each counter in KEYS.
local sums = {}
for i, key in ipairs(KEYS) do
  sums[i] = 0
  for _, value in ipairs(redis.call('HVALS', key)) do
    sums[i] = sums[i] + tonumber(string.match(value, '^%d+') or 0) -- anything but a number was not written by a gate
  end
end
return sums

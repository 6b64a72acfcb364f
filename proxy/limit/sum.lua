-- Returns for each counter in KEYS what all gates together have.
local sums = {}
for i, key in ipairs(KEYS) do
  sums[i] = 0
  for _, value in ipairs(redis.call('HVALS', key)) do
    sums[i] = sums[i] + tonumber(string.match(value, '^%d+') or 0) -- what is no number, no gate has written
  end
end
return sums

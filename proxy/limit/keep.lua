-- Writes what this gate has, and renews its lease on it.
--
-- KEYS has counters. ARGV: this gate, its lease in microseconds, then four words for each counter: kind (c or q), value,
-- sequence and forget, as in admit.lua.
--
-- Returns the time in microseconds, and for each counter what other gates have.
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local me, lease = ARGV[1], tonumber(ARGV[2])
local reply = {now}

local function word(i, n) return ARGV[2 + (i - 1) * 4 + n] end
local function whole(n) return string.format('%.0f', n) end

for i = 1, #KEYS do
  local sum, was = 0, -1
  local all = redis.call('HGETALL', KEYS[i])
  for j = 1, #all, 2 do
    local value, sequence, expires = string.match(all[j + 1], '^(%d+) (%d+) (%d+)$')
    if all[j] == me then
      was = tonumber(sequence)
    elseif word(i, 1) == 'c' and tonumber(expires) <= now then
      redis.call('HDEL', KEYS[i], all[j])
    else
      sum = sum + tonumber(value)
    end
  end
  if was <= tonumber(word(i, 3)) then
    redis.call('HSET', KEYS[i], me, word(i, 2) .. ' ' .. word(i, 3) .. ' ' .. whole(now + lease))
  end
  if word(i, 1) == 'c' then
    redis.call('PEXPIRE', KEYS[i], whole(lease / 1000))
  else
    redis.call('PEXPIREAT', KEYS[i], word(i, 4))
  end
  reply[1 + i] = sum
end
return reply

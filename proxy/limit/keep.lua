-- Writes what this gate has, and renews the lease on it.
--
-- KEYS: the hash of the gates (see gates.lua), then counters. ARGV: the name of this gate, its lease in microseconds, and
-- a line of four words for each counter: kind, value, sequence and forget, as in admit.lua. If kind is i, the key is not
-- a counter but a set, and value is added to it.
--
-- What gates that are gone have used of a quota is merged into the field gone; otherwise each start of a gate would leave
-- a field.
--
-- Returns the time in microseconds, and for each counter what other gates have. If the gate is not known, it writes
-- nothing and returns only the time.
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local me, lease = ARGV[1], tonumber(ARGV[2])
local reply = {now}

if redis.call('HEXISTS', KEYS[1], me) == 0 then return reply end

local function whole(n) return string.format('%.0f', n) end

local line = string.gmatch(ARGV[3], '(%a) (%S+) (%d+) (%d+)\n')

for i = 1, #KEYS - 1 do
  local key = KEYS[i + 1]
  local kind, mine, latest, forget = line()
  local sum, was = 0, -1
  if kind == 'i' then
    redis.call('SADD', key, mine)
  else
    local gone, dead = 0, {}
    local all = redis.call('HGETALL', key)
    for j = 1, #all, 2 do
      local value, sequence, expires = string.match(all[j + 1], '^(%d+) (%d+) (%d+)$')
      if all[j] == me then
        was = tonumber(sequence)
      elseif all[j] == 'gone' then
        gone = gone + tonumber(value)
      elseif tonumber(expires) > now then
        sum = sum + tonumber(value)
      elseif kind == 'c' then
        redis.call('HDEL', key, all[j])
      elseif redis.call('HEXISTS', KEYS[1], all[j]) == 1 then
        sum = sum + tonumber(value)
      else
        gone = gone + tonumber(value)
        table.insert(dead, all[j])
      end
    end
    sum = sum + gone
    if #dead > 0 then
      redis.call('HSET', key, 'gone', whole(gone) .. ' 0 0')
      for _, field in ipairs(dead) do redis.call('HDEL', key, field) end
    end
    if was <= tonumber(latest) then
      redis.call('HSET', key, me, mine .. ' ' .. latest .. ' ' .. whole(now + lease))
    end
  end
  if kind == 'c' then
    redis.call('PEXPIRE', key, whole(lease / 1000))
  elseif was < 0 then
    redis.call('PEXPIREAT', key, forget)
  end
  reply[1 + i] = sum
end
return reply

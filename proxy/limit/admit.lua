-- Counts one request against all its limits, or against none of them if it exceeds one that is enforced.
--
-- KEYS: the hash of the gates (see gates.lua), then one counter for each check. ARGV: the name of this gate, its lease in
-- microseconds, and a line of six words for each check:
--   kind      c: requests at once; q: a quota; r: a rate
--   limit     what all gates together may have; of a rate, the microseconds of a burst
--   value     what this gate has, with this request; of a rate, the microseconds from one request to the next
--   sequence  number of the value: a higher one is newer
--   forget    when the counter may be forgotten, in milliseconds since 1970 (q)
--   enforced  1 or 0
--
-- Each gate writes its own absolute values, never increments, so a call that is abandoned, late or sent twice counts nothing
-- twice. The time is taken from the clock of Redis.
--
-- Returns the time in microseconds, the number of the check that refuses, the number of one that is exceeded but not
-- enforced (0 for none), the microseconds until another try can succeed, and for each check what other gates have, or
-- when the bucket of a rate is full again. If the gate is not known, it counts nothing and returns the time alone.
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local me, lease = ARGV[1], tonumber(ARGV[2])
local refused, observed, retry = 0, 0, 0
local at, exceeded = {}, {}

if redis.call('HEXISTS', KEYS[1], me) == 0 then return {now} end

local function whole(n) return string.format('%.0f', n) end

local expires = whole(now + lease)
local checks = #KEYS - 1
local words = {}
local line = string.gmatch(ARGV[3], '(%a) (%d+) (%d+) (%d+) (%d+) (%d)\n')
for i = 1, checks do
  local key, wait = KEYS[i + 1], 0
  local kind, limit, mine, sequence, forget, enforced = line()
  words[i] = {kind = kind, value = mine, sequence = sequence, forget = forget}
  if kind == 'r' then
    local burst, every = tonumber(limit), tonumber(mine)
    at[i] = math.min(math.max(tonumber(redis.call('GET', key) or 0), now), now + burst)
    wait = at[i] + every - burst - now
    exceeded[i] = wait > 0
  else
    at[i] = 0
    local all = redis.call('HGETALL', key)
    for j = 1, #all, 2 do
      local value, latest, expires = string.match(all[j + 1], '^(%d+) (%d+) (%d+)$')
      if all[j] == me then
        words[i].was = tonumber(latest)
      elseif kind == 'c' and tonumber(expires) <= now then
        redis.call('HDEL', key, all[j])
      else
        at[i] = at[i] + tonumber(value)
      end
    end
    exceeded[i] = at[i] + tonumber(mine) > tonumber(limit)
  end
  if exceeded[i] and enforced == '1' and refused == 0 then refused, retry = i, wait end
  if exceeded[i] and enforced == '0' and observed == 0 then observed = i end
end

for i = 1, refused == 0 and checks or 0 do
  local key, w = KEYS[i + 1], words[i]
  if w.kind ~= 'r' then
    if not w.was or w.was < tonumber(w.sequence) then
      redis.call('HSET', key, me, w.value .. ' ' .. w.sequence .. ' ' .. expires)
    end
    if w.kind == 'c' then
      redis.call('PEXPIRE', key, whole(lease / 1000))
    elseif not w.was then
      redis.call('PEXPIREAT', key, w.forget)
    end
  elseif not exceeded[i] then
    at[i] = at[i] + tonumber(w.value)
    redis.call('SET', key, whole(at[i]), 'PX', whole(math.ceil((at[i] - now) / 1000) + 1))
  end
end

local reply = {now, refused, observed, retry}
for i = 1, checks do reply[4 + i] = at[i] end
return reply

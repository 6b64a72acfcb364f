-- Registers a gate.
--
-- KEYS[1] is a hash with a field for each gate: until when it is known to be there, in microseconds since 1970. Its field
-- data identifies what this Redis has counted: once Redis has been emptied, it gets another value. ARGV: the name of this
-- gate, its lease and how long a gate may be silent before it is gone for good, both in microseconds, and 1 if this gate
-- has not been registered before.
--
-- A gate that was registered before, and no longer is, is not registered again, and nothing that it sends is counted. Its
-- counts may have been merged with those of other gates that are gone, so it may have to go on under a new name.
--
-- Returns the time in microseconds, 1 if the gate is registered or else 0, data, and the names of the gates that are there.
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local gates, me, lease, forget = KEYS[1], ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])

local function whole(n) return string.format('%.0f', n) end

local data = redis.call('HGET', gates, 'data')
if not data then
  data = me .. '-' .. whole(now)
  redis.call('HSET', gates, 'data', data)
end
local noted = 0
if ARGV[4] == '1' or redis.call('HEXISTS', gates, me) == 1 then
  redis.call('HSET', gates, me, whole(now + lease))
  noted = 1
end
local reply = {now, noted, data}
local all = redis.call('HGETALL', gates)
for i = 1, #all, 2 do
  if all[i] ~= 'data' then
    if tonumber(all[i + 1]) + forget < now then
      redis.call('HDEL', gates, all[i])
    elseif tonumber(all[i + 1]) > now then
      table.insert(reply, all[i])
    end
  end
end
return reply

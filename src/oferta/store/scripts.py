"""The only code that runs inside Redis: constant scripts, data by KEYS and ARGV alone.

Called by their SHA-1 (EVALSHA), sent whole where the server does not know them yet. They use
nothing newer than Redis 6.2.
"""

from typing import Final

RESERVE: Final = """
local fence = redis.call('INCR', KEYS[1])
local above = tonumber(ARGV[1])
if fence <= above then
  fence = above + 1
  redis.call('SET', KEYS[1], string.format('%.0f', fence))
end
return fence
"""
"""KEYS: fence. ARGV: the number to stay above. Returns the new fence."""

SWAP: Final = """
local function text_of(reply)
  if type(reply) == 'string' then return reply end
  return nil
end
local manifest = text_of(redis.pcall('GET', KEYS[2]))
if not manifest then return 'missing' end
if redis.sha1hex(manifest) ~= ARGV[5] then return 'differs' end
local release, fence = ARGV[1], ARGV[2]
local previous = '-'
local stored = text_of(redis.pcall('GET', KEYS[1]))
if stored then
  local text, check = string.match(stored, '^(.*) (%x+)$')
  if text and redis.sha1hex(text) == check then
    local was, before, held = string.match(text, '^1 (%d+) (%S+) (%d+) ')
    if was then
      if tonumber(fence) <= tonumber(held) then return 'fenced' end
      if ARGV[6] ~= '' and ARGV[6] ~= held then return 'fenced' end
      if was == release then previous = before else previous = was end
    end
  end
end
local text = '1 ' .. release .. ' ' .. previous .. ' ' .. fence .. ' ' .. ARGV[3] .. ' ' .. ARGV[4]
redis.call('SET', KEYS[1], text .. ' ' .. redis.sha1hex(text))
return 'swapped'
"""
"""KEYS: pointer, manifest. ARGV: release, fence, microseconds, the manifest's SHA-256 for the
pointer, and its SHA-1, which a script can compare with the record that lies there at this instant
(Redis has no SHA-256), the fence to be replaced or nothing. Returns swapped, fenced, missing or
differs."""

APPLY: Final = """
if ARGV[6] ~= '' then
  local was = redis.call('GET', KEYS[4])
  if was then return {'repeated', was} end
end
if redis.call('GETRANGE', KEYS[1], 0, 31) ~= ARGV[1] then
  return {'conflict', redis.call('GET', KEYS[1])}
end
if ARGV[2] ~= '' then redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) end
if ARGV[4] ~= '' then redis.call('SET', KEYS[3], ARGV[4], 'PX', ARGV[5]) end
if ARGV[6] ~= '' then redis.call('SET', KEYS[4], ARGV[6], 'PX', ARGV[7]) end
if ARGV[9] ~= '' then
  local time = redis.call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  redis.call('ZADD', KEYS[5], string.format('%.0f', now + ARGV[5]), ARGV[9])
  redis.call('ZREMRANGEBYSCORE', KEYS[5], '-inf', string.format('%.0f', now))
  local life = redis.call('PTTL', KEYS[5])
  if life < tonumber(ARGV[5]) then redis.call('PEXPIRE', KEYS[5], ARGV[5]) end
end
for at = 10, #ARGV do
  redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[8], '*', 'e', ARGV[at])
end
return {'done'}
"""
"""KEYS: state, log, decision, request id, which decisions were made, all of one customer's slot.
ARGV: the mark of the state that was read (its first 32 bytes, or nothing), the new state (or
nothing) and its milliseconds, the decision's record (or nothing) and its milliseconds, the
decision's id to keep under the request id (or nothing) and its milliseconds, how many lines the log
holds, what to note of the decision among those of the customer (or nothing), the new lines. Returns
done; repeated and the decision's id; conflict and the state."""

TAKE: Final = """
local full, taking = {}, {}
for at = 1, #KEYS do
  local key, base = KEYS[at], 1 + 3 * (at - 1)
  local taken = taking[key] or redis.call('ZCOUNT', key, '(' .. ARGV[1], '+inf')
  taking[key] = taken + 1
  if taken >= tonumber(ARGV[base + 1]) then full[#full + 1] = at end
end
if #full > 0 then return full end
for at = 1, #KEYS do
  local key, base = KEYS[at], 1 + 3 * (at - 1)
  redis.call('ZADD', key, ARGV[base + 2], ARGV[base + 3])
  redis.call('ZREMRANGEBYSCORE', key, '-inf', ARGV[1] - 3600000)
  local left = ARGV[base + 2] - ARGV[1] + 3600000
  if redis.call('PTTL', key) < left then redis.call('PEXPIRE', key, string.format('%.0f', left)) end
end
return full
"""
"""KEYS: the counter of each place. ARGV: the instant; for each place its limit, the instant until
which it is taken, who takes it; instants in epoch milliseconds. Returns the numbers, from 1, of
places that are not free: nothing was taken unless there are none.

Places that ended within the last hour are not counted, and kept: a caller whose clock is ahead must
not remove those of others."""

KEEP: Final = """
for at = 1, #KEYS do
  local key, base = KEYS[at], 1 + 2 * (at - 1)
  redis.call('ZADD', key, 'GT', ARGV[base + 1], ARGV[base + 2])
  local left = ARGV[base + 1] - ARGV[1] + 3600000
  if redis.call('PTTL', key) < left then redis.call('PEXPIRE', key, string.format('%.0f', left)) end
end
return #KEYS
"""
"""KEYS: the counter of each place. ARGV: the instant; for each place the instant until which it is
taken at least, who takes it; in epoch milliseconds."""

REPLACE: Final = """
local was = redis.pcall('GET', KEYS[1])
if type(was) ~= 'string' or redis.sha1hex(was) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'KEEPTTL')
return 1
"""
"""KEYS: a record. ARGV: the SHA-1 of the record that was read, the one to put in its place; its
life stays what it was. Returns 1, or 0 where another record, or none, lies there by now."""

REWRITE_STREAM: Final = """
if redis.call('XLEN', KEYS[1]) > tonumber(ARGV[1]) then return 0 end
local entries = redis.call('XRANGE', KEYS[1], '-', '+')
if #entries == 0 then return 0 end
redis.call('UNLINK', KEYS[1])
for _, entry in ipairs(entries) do redis.call('XADD', KEYS[1], entry[1], unpack(entry[2])) end
return #entries
"""
"""KEYS: a stream without consumer groups. ARGV: how many entries it may have at most. Writes it
anew as it is, without the bytes of entries that were removed. Returns how many entries it has, 0
where it was left alone."""

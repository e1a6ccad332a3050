"""What runs inside Redis for events: constant scripts, as in `scripts`, each within one slot."""

from typing import Final

CLAIM: Final = """
local was = redis.pcall('GET', KEYS[1])
if type(was) == 'string' then return was end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return false
"""
"""KEYS: claim. ARGV: the new claim, its milliseconds. Returns the claim that was there, or nil:
then the new one is. A key of another type is none of ours and gives way, here and below."""

APPLY_EVENTS: Final = """
local mark = redis.pcall('GETRANGE', KEYS[1], 0, 31)
if type(mark) ~= 'string' then mark = '' end
if mark ~= ARGV[1] then return 'conflict' end
local said = {}
for at = 2, #KEYS do
  local was = redis.pcall('GET', KEYS[at])
  if type(was) ~= 'string' then was = 'p------------------------' end
  if string.sub(was, 1, 1) == 'a' then return 'conflict' end
  said[at] = string.sub(was, 2, 25)
end
if ARGV[2] ~= '' then redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) end
for at = 2, #KEYS do
  redis.call('SET', KEYS[at], 'a' .. said[at] .. ARGV[3 + at], 'PX', ARGV[4])
end
return 'done'
"""
"""KEYS: what somebody did lately, the claims of the events that change it. ARGV: the mark of the
record that was read (its first 32 bytes, or nothing), the new record (or nothing) and its
milliseconds, the milliseconds of a claim, the position of each event. Returns done; conflict where
another record is stored, or an event was applied meanwhile: then nothing was written."""

SETTLE: Final = """
local was = redis.pcall('GET', KEYS[1])
if type(was) ~= 'string' then was = 'p------------------------' end
if string.sub(was, 1, 1) == 'a' then return 0 end
redis.call('SET', KEYS[1], ARGV[1] .. string.sub(was, 2, 25) .. ARGV[2], 'PX', ARGV[3])
return 1
"""
"""KEYS: claim. ARGV: its new state, a position or nothing, its milliseconds. An applied event stays
applied. Returns whether it was changed."""

SET_ASIDE: Final = """
local moved = 0
for at = 3, #ARGV, 5 do
  if redis.call('XACK', KEYS[1], ARGV[1], ARGV[at]) == 1 then
    redis.call('XADD', KEYS[2], '*', 'e', ARGV[at + 1], 'k', ARGV[at + 2], 'r', ARGV[at + 3],
      'n', ARGV[at + 4], 't', ARGV[2])
    moved = moved + 1
  end
end
return moved
"""
"""KEYS: a shard's stream, where to. ARGV: the group, the instant in milliseconds; for each entry
its position, data, claim, reason, deliveries. An entry that somebody else acknowledged stays where
it is. Returns how many were moved."""

PUT_ON: Final = """
local moved = 0
for at = 3, #ARGV do
  local found = redis.call('XRANGE', KEYS[1], ARGV[at], ARGV[at])
  if #found == 1 then
    local has, fields = {}, found[1][2]
    for name = 1, #fields, 2 do has[fields[name]] = fields[name + 1] end
    redis.call('XDEL', KEYS[1], ARGV[at])
    if ARGV[1] == '' then
      redis.call('XADD', KEYS[2], '*', 'e', has['e'] or '', 'k', has['k'] or '')
    else
      redis.call('XADD', KEYS[2], '*', 'e', has['e'] or '', 'k', has['k'] or '', 'r', ARGV[1],
        'n', has['n'] or '0', 't', ARGV[2])
    end
    moved = moved + 1
  end
end
return moved
"""
"""KEYS: where from, where to: streams of one shard. ARGV: a reason (nothing where they go back to
be applied), the instant in milliseconds, positions. Each is moved by one caller only. Returns how
many were moved."""

CLAIM_ARCHIVE: Final = """
local was = redis.pcall('GET', KEYS[1])
if type(was) == 'string' and was ~= '' then return was end
redis.call('SET', KEYS[1], ARGV[1])
return ARGV[1]
"""
"""KEYS: which archive is in charge. ARGV: one that would be. Returns the one that is."""

ADVANCE: Final = """
local added = redis.pcall('XADD', KEYS[1], ARGV[1], 'e', '')
if type(added) ~= 'string' then return 0 end
redis.call('XDEL', KEYS[1], added)
return 1
"""
"""KEYS: a shard's stream. ARGV: a position. Entries come after it from now on; nobody ever sees the
one that says so. A stream that is further already stays as it is. Returns whether it was moved."""

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

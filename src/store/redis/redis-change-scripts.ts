import { redisScript } from "./redis-script.ts";

/** So many changes are kept for processes that look seldom; one that comes later looks through everything. */
const changesKept = 100_000;

/**
 * Lua: `note(counters, changes, channel, writer, id, version)` numbers a change, writes it into the change log, and wakes the others.
 * Scripts run one after the other, so that the numbers are in the order of the changes. Gives the number.
 */
export const noteChange = `
local function note(counters, changes, channel, writer, id, version)
  local change = string.format('%.0f', redis.call('HINCRBY', counters, 'change', 1))
  redis.call('XADD', changes, 'MAXLEN', '~', ${changesKept}, change .. '-1', 'w', writer, 'i', id, 'v', version)
  redis.pcall('PUBLISH', channel, writer)
  return change
end`;

/** The server's time and run id, what the store says of itself, and the changes after ARGV[2], at most ARGV[3]. KEYS: meta, counters, changes. */
export const changesSince = redisScript(`
local time = redis.call('TIME')
local info = redis.pcall('INFO', 'server')
local run = type(info) == 'string' and string.match(info, 'run_id:(%w+)') or ''
local meta = redis.call('HMGET', KEYS[2], 'born', 'incarnation')
local newest = redis.call('HGET', KEYS[3], 'change') or '0'
local out = { time[1], time[2], run, meta[1] or '', meta[2] or '', newest }
if tonumber(newest) > tonumber(ARGV[2]) then
  for _, entry in ipairs(redis.call('XRANGE', KEYS[4], '(' .. ARGV[2] .. '-1', '+', 'COUNT', ARGV[3])) do
    local fields = entry[2]
    out[#out + 1] = string.match(entry[1], '^%d+')
    out[#out + 1] = fields[2]
    out[#out + 1] = fields[4]
    out[#out + 1] = fields[6]
  end
end
return out`);

/** Id and version of some login sessions, from the cursor ARGV[2] on; the next cursor first. KEYS: login-sessions. */
export const allVersions = redisScript(`
local found = redis.call('HSCAN', KEYS[2], ARGV[2], 'COUNT', ARGV[3])
local out = { found[1] }
for at = 1, #found[2], 2 do
  out[#out + 1] = found[2][at]
  out[#out + 1] = string.match(found[2][at + 1], '^%d+ %d+ (%d+) ') or '1'
end
return out`);

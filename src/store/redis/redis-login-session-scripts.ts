import { noteChange } from "./redis-change-scripts.ts";
import { parseRow } from "./redis-login-session-rows.ts";
import { redisScript } from "./redis-script.ts";

/** The keys of the scripts that write: KEYS[2] to KEYS[8]. */
export const writtenKeys = ["counters", "changes", "login-sessions", "handles", "refresh-tokens", "users", "due"];

const keys = `
local counters, changes, records, handles, tokens, users, due = KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7], KEYS[8]`;

/**
 * Lua: due times are kept less \`shift\`, the sum of all that they were ever moved by, so that moving all of them is one number. A text of 17
 * digits holds any double.
 */
const dueTimes = `
local function scoreOf(time)
  local shift = tonumber(redis.call('HGET', counters, 'shift') or '0')
  if shift == 0 then return time end
  return string.format('%.17g', tonumber(time) - shift)
end
local function plan(id, time)
  if time == '' then redis.call('ZREM', due, id) else redis.call('ZADD', due, scoreOf(time), id) end
end`;

/** Lua: what a row counts for, in the statistics and in the index of refresh tokens, which has the sids too. */
const indexes = `
local function count(row, by)
  redis.call('HINCRBY', counters, 'state ' .. row.state, by)
  redis.call('HINCRBY', counters, 'sealed ' .. (row.key == '' and 'unknown' or row.key), by)
end
local function index(row, id, command)
  for _, hash in ipairs(row.hashes) do
    if hash ~= '' then
      if command == 'ZADD' then redis.call('ZADD', tokens, 0, hash .. ' ' .. id) else redis.call('ZREM', tokens, hash .. ' ' .. id) end
    end
  end
end`;

/** Lua: whether a record came of an import of this refresh token. A row that cannot be read may be it. */
const imports = `
local function wasImported(hash)
  if hash == '' then return false end
  for _, member in ipairs(redis.call('ZRANGEBYLEX', tokens, '[' .. hash .. ' ', '(' .. hash .. '!')) do
    local text = redis.call('HGET', records, string.sub(member, #hash + 2))
    local row = text and parse(text)
    if text and (not row or row.hashes[3] == hash) then return true end
  end
  return false
end`;

const writing = `${keys}${noteChange}${parseRow}${dueTimes}${indexes}`;

/** ARGV: id, row tail, due time, writer, channel. 0: its id or handle exists, or another record came of an import of the same refresh token. */
export const insertLoginSession = redisScript(`${writing}${imports}
local id, tail, time, writer, channel = ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local row = parse('0 0 ' .. tail)
if redis.call('HEXISTS', records, id) == 1 or redis.call('HEXISTS', handles, row.handle) == 1 then return 0 end
if wasImported(row.hashes[3]) then return 0 end
local change = note(counters, changes, channel, writer, id, row.version)
redis.call('HSET', records, id, change .. ' ' .. change .. ' ' .. tail)
redis.call('HSET', handles, row.handle, id)
redis.call('ZADD', users, 0, row.user .. ' ' .. id)
index(row, id, 'ZADD')
count(row, 1)
plan(id, time)
return 1`);

/** ARGV: id, row tail, due time, writer, channel, the version that must be there. Gives 1; else the row that is there; nil: none is. */
export const commitLoginSession = redisScript(`${writing}
local id, tail, time, writer, channel, expected = ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7]
local text = redis.call('HGET', records, id)
if not text then return false end
local old = parse(text)
if not old or old.version ~= expected then return text end
local row = parse('0 0 ' .. tail)
local change = note(counters, changes, channel, writer, id, row.version)
redis.call('HSET', records, id, change .. ' ' .. old.made .. ' ' .. tail)
index(old, id, 'ZREM')
index(row, id, 'ZADD')
count(old, -1)
count(row, 1)
plan(id, time)
return 1`);

/** ARGV: id, version, writer, channel. 0: there is none of this version. */
export const removeLoginSession = redisScript(`${writing}
local id, version, writer, channel = ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local text = redis.call('HGET', records, id)
local old = text and parse(text)
if not old or old.version ~= version then return 0 end
note(counters, changes, channel, writer, id, '0')
redis.call('HDEL', records, id)
redis.call('HDEL', handles, old.handle)
redis.call('ZREM', users, old.user .. ' ' .. id)
index(old, id, 'ZREM')
count(old, -1)
plan(id, '')
return 1`);

/** ARGV: now, limit, the end of the lease. Gives the ids, the soonest first. */
export const claimDueLoginSessions = redisScript(`${keys}${dueTimes}
local ids = redis.call('ZRANGEBYSCORE', due, '-inf', scoreOf(ARGV[2]), 'LIMIT', 0, ARGV[3])
for _, id in ipairs(ids) do plan(id, ARGV[4]) end
return ids`);

/** Hides claimed login sessions for longer, unless they have been planned anew. ARGV: the end of the lease, the later one, ids. */
export const hideLoginSessions = redisScript(`${keys}${dueTimes}
for at = 4, #ARGV do
  local score = redis.call('ZSCORE', due, ARGV[at])
  if score and tonumber(score) == tonumber(scoreOf(ARGV[2])) then plan(ARGV[at], ARGV[3]) end
end
return 1`);

/**
 * Moves all due times. ARGV: by how much, writer, at, how much two processes may measure apart, and how much later notice it. 0: another
 * process has moved them for this very jump.
 */
export const shiftDueTimes = redisScript(`
local counters = KEYS[2]
local by, writer, at = ARGV[2], ARGV[3], ARGV[4]
local last = redis.call('HMGET', counters, 'shift by', 'shift writer', 'shift at')
if last[1] and last[2] ~= writer and math.abs(last[1] - by) < tonumber(ARGV[5]) and math.abs(last[3] - at) < tonumber(ARGV[6]) then return 0 end
local sum = tonumber(redis.call('HGET', counters, 'shift') or '0') + tonumber(by)
redis.call('HSET', counters, 'shift', string.format('%.17g', sum), 'shift by', by, 'shift writer', writer, 'shift at', at)
return 1`);

/** The row of an id. KEYS: login-sessions. */
export const getLoginSession = redisScript("return redis.call('HGET', KEYS[2], ARGV[2])");

/** Id and row of a handle. KEYS: login-sessions, handles. */
export const getLoginSessionByHandle = redisScript(`
local id = redis.call('HGET', KEYS[3], ARGV[2])
local row = id and redis.call('HGET', KEYS[2], id)
return row and { id, row } or {}`);

/** Ids and rows of a hash in an index of "hash id". The index has one score, so that it is in the order of its texts; "!" comes after " ". KEYS: login-sessions, the index. */
export const listLoginSessions = redisScript(`
local out = {}
for _, member in ipairs(redis.call('ZRANGEBYLEX', KEYS[3], '[' .. ARGV[2] .. ' ', '(' .. ARGV[2] .. '!')) do
  local id = string.sub(member, #ARGV[2] + 2)
  local row = redis.call('HGET', KEYS[2], id)
  if row then
    out[#out + 1] = id
    out[#out + 1] = row
  end
end
return out`);

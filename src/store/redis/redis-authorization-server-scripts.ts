import { redisScript } from "./redis-script.ts";

/** The keys of these scripts: KEYS[2] to KEYS[6]. */
export const authorizationServerKeys = [
  "authorization-server-records",
  "authorization-server-names",
  "authorization-server-grants",
  "authorization-server-ends",
  "counters",
];

/**
 * Lua. A row is one text: end, when it was used up, hashes of grant, uid and user code, key id, sealed. `names` leads from the hash of a uid
 * or user code to the newest row that has it; `grants` holds "grant row"; `ends` the ends. They are one hash, and not keys that Redis drops by
 * itself: then nobody would know what they were sealed with.
 */
const common = `
local rows, names, grants, ends, counters = KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local function parse(text)
  local at, used, grant, uid, code, key, sealed = string.match(text, '^(%S*) (%S*) (%S*) (%S*) (%S*) (%S*) (%S*)$')
  return { at = at or '', used = used or '', grant = grant or '', uid = uid or '', code = code or '', key = key or '', sealed = sealed or '' }
end
local function count(row, by)
  redis.call('HINCRBY', counters, 'sealed ' .. (row.key == '' and 'unknown' or row.key), by)
end
local function drop(id)
  local text = redis.call('HGET', rows, id)
  if not text then return 0 end
  local row = parse(text)
  for _, name in ipairs({ row.uid, row.code }) do
    if name ~= '' and redis.call('HGET', names, name) == id then redis.call('HDEL', names, name) end
  end
  if row.grant ~= '' then redis.call('ZREM', grants, row.grant .. ' ' .. id) end
  redis.call('ZREM', ends, id)
  redis.call('HDEL', rows, id)
  count(row, -1)
  return 1
end
local function dropEnded(now, limit)
  local dropped = 0
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', ends, '-inf', now, 'LIMIT', 0, limit)) do
    dropped = dropped + drop(id)
    redis.call('ZREM', ends, id)
  end
  return dropped
end`;

/** ARGV: id, row, now. */
export const putRecord = redisScript(`${common}
local id, text, now = ARGV[2], ARGV[3], ARGV[4]
dropEnded(now, 20)
drop(id)
local row = parse(text)
redis.call('HSET', rows, id, text)
for _, name in ipairs({ row.uid, row.code }) do
  if name ~= '' then redis.call('HSET', names, name, id) end
end
if row.grant ~= '' then redis.call('ZADD', grants, 0, row.grant .. ' ' .. id) end
if row.at ~= '' then redis.call('ZADD', ends, row.at, id) end
count(row, 1)
return 1`);

/** ARGV: id. */
export const getRecord = redisScript("return redis.call('HGET', KEYS[2], ARGV[2])");

/** Id and row. ARGV: the hash of a uid or user code. */
export const getRecordByName = redisScript(`
local id = redis.call('HGET', KEYS[3], ARGV[2])
local row = id and redis.call('HGET', KEYS[2], id)
return row and { id, row } or {}`);

/** ARGV: id, now. 0: it is absent, or was used up before. */
export const consumeRecord = redisScript(`${common}
local id, now = ARGV[2], ARGV[3]
local text = redis.call('HGET', rows, id)
if not text then return 0 end
local row = parse(text)
if row.used ~= '' or (row.at ~= '' and tonumber(row.at) <= tonumber(now)) then return 0 end
redis.call('HSET', rows, id, table.concat({ row.at, now, row.grant, row.uid, row.code, row.key, row.sealed }, ' '))
return 1`);

/** ARGV: id. */
export const removeRecord = redisScript(`${common}
return drop(ARGV[2])`);

/** ARGV: the hash of a grant. */
export const removeRecordsOfGrant = redisScript(`${common}
local removed = 0
for _, member in ipairs(redis.call('ZRANGEBYLEX', grants, '[' .. ARGV[2] .. ' ', '(' .. ARGV[2] .. '!')) do
  removed = removed + drop(string.sub(member, #ARGV[2] + 2))
end
return removed`);

/** ARGV: now, how many at most. Gives how many. */
export const purgeRecords = redisScript(`${common}
return dropEnded(ARGV[2], ARGV[3])`);

/** Puts a text that was sealed anew into a row, unless the row has changed. ARGV: id, row, key id, sealed. */
export const resealRecord = redisScript(`${common}
local id, text = ARGV[2], ARGV[3]
if redis.call('HGET', rows, id) ~= text then return 0 end
local row = parse(text)
redis.call('HSET', rows, id, table.concat({ row.at, row.used, row.grant, row.uid, row.code, ARGV[4], ARGV[5] }, ' '))
count(row, -1)
row.key = ARGV[4]
count(row, 1)
return 1`);

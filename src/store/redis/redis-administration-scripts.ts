import { parseRow } from "./redis-login-session-rows.ts";
import { redisScript } from "./redis-script.ts";

/**
 * What is counted: first all counters, name and value, as one list, then the due login sessions, connection keys, authorization server
 * records that end after now and those that do not end, replicas by Redis's clock, then for each list of ends how many come after now. No walk
 * through the records. ARGV: now. KEYS: counters, due, connection-keys, authorization-server-records, authorization-server-ends,
 * replicas, lists of ends.
 */
export const countAll = redisScript(`
local counters, now, after = KEYS[2], ARGV[2], '(' .. ARGV[2]
local shift = tonumber(redis.call('HGET', counters, 'shift') or '0')
local time = redis.call('TIME')
local ending = redis.call('ZCARD', KEYS[6])
local out = {
  redis.call('HGETALL', counters),
  redis.call('ZCOUNT', KEYS[3], '-inf', string.format('%.17g', now - shift)),
  redis.call('HLEN', KEYS[4]),
  redis.call('ZCOUNT', KEYS[6], after, '+inf'),
  redis.call('HLEN', KEYS[5]) - ending,
  redis.call('ZCOUNT', KEYS[7], '(' .. string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000)), '+inf'),
}
for at = 8, #KEYS do out[#out + 1] = redis.call('ZCOUNT', KEYS[at], after, '+inf') end
return out`);

/** Rows that another key than ARGV[4] sealed, from the cursor ARGV[2] on, about ARGV[3] of all; the next cursor first. ARGV[5]: the pattern of a row's key id. */
export const sealedOtherwise = redisScript(`
local found = redis.call('HSCAN', KEYS[2], ARGV[2], 'COUNT', ARGV[3])
local out = { found[1] }
for at = 1, #found[2], 2 do
  if string.match(found[2][at + 1], ARGV[5]) ~= ARGV[4] then
    out[#out + 1] = found[2][at]
    out[#out + 1] = found[2][at + 1]
  end
end
return out`);

/** Puts a text that was sealed anew into a row, unless the row has changed. ARGV: id, row, key id, sealed. KEYS: login-sessions, counters. */
export const resealLoginSession = redisScript(`${parseRow}
local id, text, key, sealed = ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local old = parse(text)
if not old or redis.call('HGET', KEYS[2], id) ~= text then return 0 end
local before, after = string.match(text, '^(%d+ %d+ %d+ %S+ )%S*( .* )%S*$')
redis.call('HSET', KEYS[2], id, before .. key .. after .. sealed)
redis.call('HINCRBY', KEYS[3], 'sealed ' .. (old.key == '' and 'unknown' or old.key), -1)
redis.call('HINCRBY', KEYS[3], 'sealed ' .. key, 1)
return 1`);

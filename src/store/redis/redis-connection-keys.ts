import { LatchkeyError } from "../../errors.ts";
import type { ConnectionKeyHash, ConnectionKeyRecord } from "../../session/connection-key.ts";
import type { LoginSessionId } from "../../session/login-session.ts";
import type { ConnectionKeyStore } from "../../session/store.ts";
import type { ConnectionKeyRows } from "../connection-key-rows.ts";
import type { RedisDatabase } from "./redis-database.ts";
import { redisScript } from "./redis-script.ts";
import { jsonList, mustInteger, textOf, textsOf } from "./redis-values.ts";

/*
 * All rows are in one hash, "login session id, key id, rest" by the key's hash. A list for each login session has the hashes of its keys, in
 * the order of their making. KEYS: connection-keys, the login session's list, counters.
 */

/** ARGV: hash, key id, row, limit. Gives 1; 0: the limit is reached; 2: the hash or the key id exists. */
const insert = redisScript(`
local hash, id, row, limit = ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
local hashes = redis.call('ZRANGE', KEYS[3], 0, -1)
if #hashes >= limit then return 0 end
if redis.call('HEXISTS', KEYS[2], hash) == 1 then return 2 end
for _, each in ipairs(hashes) do
  if string.match(redis.call('HGET', KEYS[2], each) or '', '^%S+ (%S+) ') == id then return 2 end
end
redis.call('HSET', KEYS[2], hash, row)
redis.call('ZADD', KEYS[3], redis.call('HINCRBY', KEYS[4], 'connection keys made', 1), hash)
return 1`);

const get = redisScript("return redis.call('HGET', KEYS[2], ARGV[2])");

const list = redisScript(`
local out = {}
for _, hash in ipairs(redis.call('ZRANGE', KEYS[3], 0, -1)) do
  out[#out + 1] = hash
  out[#out + 1] = redis.call('HGET', KEYS[2], hash) or ''
end
return out`);

/** ARGV: key id, or "" for all. Gives how many it has removed. */
const remove = redisScript(`
local removed = 0
for _, hash in ipairs(redis.call('ZRANGE', KEYS[3], 0, -1)) do
  if ARGV[2] == '' or string.match(redis.call('HGET', KEYS[2], hash) or '', '^%S+ (%S+) ') == ARGV[2] then
    redis.call('HDEL', KEYS[2], hash)
    redis.call('ZREM', KEYS[3], hash)
    removed = removed + 1
  end
end
return removed`);

/** Connection keys in Redis. A row that was exchanged from outside is not used, and reported (B14). */
export class RedisConnectionKeys implements ConnectionKeyStore {
  readonly #db: RedisDatabase;
  readonly #rows: ConnectionKeyRows;

  constructor(db: RedisDatabase, rows: ConnectionKeyRows) {
    this.#db = db;
    this.#rows = rows;
  }

  async insert(key: ConnectionKeyRecord, limit: number): Promise<void> {
    const { id, loginSessionId, name, createdAt, expiresAt } = key;
    const row = `${loginSessionId} ${id} ${JSON.stringify([name, createdAt, expiresAt ?? null, this.#rows.mac(key)])}`;
    const inserted = mustInteger(await this.#db.run(insert, [...keysOf(loginSessionId), "counters"], [key.hash, id, row, limit]));
    if (inserted === 0)
      throw new LatchkeyError("conflict", `This login session has ${limit} connection keys already. Remove one that is no longer needed.`);
    if (inserted === 2) throw new LatchkeyError("conflict", "This connection key exists already.");
  }

  async getByHash(hash: ConnectionKeyHash): Promise<ConnectionKeyRecord | undefined> {
    const row = textOf(await this.#db.run(get, ["connection-keys"], [hash]));
    return row === undefined ? undefined : this.#read(hash, row);
  }

  async listByLoginSession(id: LoginSessionId): Promise<readonly ConnectionKeyRecord[]> {
    const found = textsOf(await this.#db.run(list, keysOf(id)));
    const keys = Array.from({ length: found.length / 2 }, (_, index) =>
      this.#read(found[index * 2] as ConnectionKeyHash, found[index * 2 + 1] ?? ""),
    );
    return keys.filter((key) => key !== undefined).filter((key) => key.loginSessionId === id);
  }

  async remove(id: LoginSessionId, keyId: string): Promise<boolean> {
    return keyId !== "" && mustInteger(await this.#db.run(remove, keysOf(id), [keyId])) > 0;
  }

  async removeByLoginSession(id: LoginSessionId): Promise<void> {
    await this.#db.run(remove, keysOf(id), [""]);
  }

  #read(hash: ConnectionKeyHash, row: string): ConnectionKeyRecord | undefined {
    const [, loginSessionId = "", id = "", rest = ""] = /^(\S+) (\S+) (.*)$/s.exec(row) ?? [];
    const [name, createdAt, expiresAt, mac] = jsonList(rest);
    const key: ConnectionKeyRecord = {
      id,
      hash,
      loginSessionId: loginSessionId as LoginSessionId,
      name: String(name),
      createdAt: Number(createdAt),
      ...(typeof expiresAt === "number" ? { expiresAt } : {}),
    };
    return this.#rows.check(key, String(mac));
  }
}

function keysOf(id: LoginSessionId): readonly string[] {
  return ["connection-keys", `connection-keys-of:${id}`];
}

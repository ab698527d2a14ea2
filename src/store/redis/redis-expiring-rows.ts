import type { RedisDatabase } from "./redis-database.ts";
import { type RedisScript, redisScript } from "./redis-script.ts";
import { mustInteger, textOf, textsOf } from "./redis-values.ts";

/** Redis drops a row by its own clock, so much later than it may be used for the last time by anybody's. */
const marginMs = 600_000;
const rowsPerStep = 500;

/**
 * Lua: rows that end. Each is a key of its own, which Redis drops by itself some time after its end; a list of their ends counts them. What
 * has ended is absent, whether it was dropped or not: the scripts' callers look at the end. KEYS[2] is the list of ends.
 */
const expiringRows = `
local ends = KEYS[2]
local function put(key, name, text, at)
  redis.call('SET', key, text, 'PXAT', string.format('%.0f', math.max(1, math.ceil(at) + ${marginMs})))
  redis.call('ZADD', ends, at, name)
  local time = redis.call('TIME')
  redis.call('ZREMRANGEBYSCORE', ends, '-inf', string.format('%.0f', time[1] * 1000 - ${marginMs}))
end
local function drop(key, name)
  redis.call('DEL', key)
  redis.call('ZREM', ends, name)
end`;

/** Makes a script for rows that end. */
export function expiringScript(body: string): RedisScript {
  return redisScript(`${expiringRows}\n${body}`);
}

const putRow = expiringScript("put(KEYS[3], ARGV[2], ARGV[3], ARGV[4]) return 1");
const getRow = expiringScript("return redis.call('GET', KEYS[3])");
const dropRow = expiringScript("drop(KEYS[3], ARGV[2]) return 1");
const takeRow = expiringScript(`
local row = redis.call('GET', KEYS[3])
drop(KEYS[3], ARGV[2])
return row`);
const endedRows = redisScript("return redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', ARGV[2], 'LIMIT', 0, ARGV[3])");
/** ARGV: now, the names of the rows of KEYS[3] onwards. One that was written anew in the meantime stays. */
const dropEnded = expiringScript(`
local dropped = 0
for at = 3, #KEYS do
  local score = redis.call('ZSCORE', ends, ARGV[at])
  if score and tonumber(score) <= tonumber(ARGV[2]) then
    drop(KEYS[at], ARGV[at])
    dropped = dropped + 1
  end
end
return dropped`);

/** One kind of rows that end. */
export class RedisExpiringRows {
  readonly #db: RedisDatabase;
  readonly #kind: string;

  constructor(db: RedisDatabase, kind: string) {
    this.#db = db;
    this.#kind = kind;
  }

  /** The list of their ends. */
  get ends(): string {
    return `${this.#kind}-ends`;
  }

  rowKey(name: string): string {
    return `${this.#kind}:${name}`;
  }

  /** Runs a script of `expiringScript`: on the list of ends and the rows of these names, and on other keys behind them. */
  run(script: RedisScript, names: readonly string[], args: readonly (string | number)[], keys: readonly string[] = []): Promise<unknown> {
    return this.#db.run(script, [this.ends, ...names.map((name) => this.rowKey(name)), ...keys], args);
  }

  async put(name: string, text: string, endsAt: number): Promise<void> {
    await this.run(putRow, [name], [name, text, endsAt]);
  }

  async get(name: string): Promise<string | undefined> {
    return textOf(await this.run(getRow, [name], []));
  }

  /** Gives it once. */
  async take(name: string): Promise<string | undefined> {
    return textOf(await this.run(takeRow, [name], [name]));
  }

  async drop(name: string): Promise<void> {
    await this.run(dropRow, [name], [name]);
  }

  /** Removes what has ended at `now`; gives how many. */
  async purge(now: number): Promise<number> {
    let dropped = 0;
    for (;;) {
      const names = textsOf(await this.run(endedRows, [], [now, rowsPerStep]));
      if (names.length === 0) return dropped;
      dropped += mustInteger(await this.run(dropEnded, names, [now, ...names]));
    }
  }
}
